// The view that asks: which known thing does this photo show, or none of them?

import { html, useContext, useState } from "./vendor/htm-preact.js";
import { Here } from "./here.js";
import { DropArea, PickButtons, usePaste } from "./picking.js";
import { Several } from "./several.js";
import { Single } from "./single.js";

let made = 0;

// active: whether the view is seen; what was asked stays while another one is.
export function Recognise({ active }) {
  const here = useContext(Here);
  const [files, setFiles] = useState(null); // { id, list }
  const [open, setOpen] = useState(null); // of several, the one that is looked at
  const [inside, setInside] = useState(false);
  const picked = (list) => {
    setFiles({ id: ++made, list });
    setOpen(null);
  };
  usePaste(active, picked);
  const single = files && (files.list.length === 1 ? files.list[0] : open);
  return html`<div hidden=${!active}>
    ${active && html`<${DropArea} dropped=${picked} everywhere class=${files ? "bar-of-tools" : "welcome"}>
      ${!files && html`<h1>Which one is it?</h1>
        <p class="lead">Show a photo: the answer is the thing it shows, or that gallery
        ${" "}<b>${here.gallery}</b> does not know it.</p>`}
      <${PickButtons} picked=${picked} primary words=${files ? "Other photos" : "Choose photos"} />
      <label class="tick"><input type="checkbox" checked=${inside}
        onChange=${(event) => setInside(event.target.checked)} />
        Look inside the photo
        ${" "}<span class="hint">for small things in a full picture; takes six times as long</span></label>
      ${!files && html`<p class="hint">Or drop photos anywhere on this page, or paste one. Several at once are
        answered one by one.</p>`}
      <p class="catch" aria-hidden="true">Drop to recognise</p>
    <//>`}
    ${files && files.list.length > 1 && html`<div hidden=${single !== null}>
      <${Several} key=${`${files.id} ${here.gallery} ${inside}`} files=${files.list} inside=${inside} open=${setOpen} />
    </div>`}
    ${single && files.list.length > 1 && html`<p><button type="button" class="quiet"
      onClick=${() => setOpen(null)}>← All ${files.list.length} photos</button></p>`}
    ${single && html`<${Single} key=${`${files.id} ${files.list.indexOf(single)} ${here.gallery}`} file=${single}
      inside=${inside} />`}
  </div>`;
}
