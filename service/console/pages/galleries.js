// The switch between galleries.

import { html, useContext, useState } from "./vendor/htm-preact.js";
import { Dialog } from "./dialog.js";
import { Here } from "./here.js";

const OTHER = " "; // no gallery's name

// chosen: called with a gallery's name.
export function Galleries({ chosen }) {
  const here = useContext(Here);
  const [asking, setAsking] = useState(false);
  const names = (here.galleries ?? []).map((gallery) => gallery.name);
  const shown = names.includes(here.gallery) ? names : [here.gallery, ...names];
  const changed = (event) => {
    const name = event.target.value;
    if (name !== OTHER) return chosen(name);
    event.target.value = here.gallery;
    return setAsking(true);
  };
  return html`<label class="switch"><span class="unseen">Gallery</span>
      <select value=${here.gallery} onChange=${changed}>
        ${shown.map((name) => html`<option key=${name} value=${name}>${name}</option>`)}
        <option value=${OTHER}>Another …</option>
      </select>
    </label>
    ${asking && html`<${OtherGallery} chosen=${chosen} close=${() => setAsking(false)} />`}`;
}

function OtherGallery({ chosen, close }) {
  const [name, setName] = useState("");
  const submit = (event) => {
    event.preventDefault();
    close();
    chosen(name);
  };
  return html`<${Dialog} title="Another gallery" close=${close}>
    <form onSubmit=${submit}>
      <label class="field">Name
        <input name="gallery" required autofocus maxlength="64" pattern="[a-z0-9][a-z0-9_\\-]*" autocapitalize="none"
          autocomplete="off" spellcheck=${false}
          value=${name} onInput=${(event) => setName(event.target.value)} />
      </label>
      <p class="hint">a–z, 0–9, - and _. A new one comes into being with its first photo.</p>
      <div class="buttons"><button type="button" class="quiet" onClick=${close}>Cancel</button>
        <button type="submit" class="primary">Go there</button></div>
    </form>
  <//>`;
}
