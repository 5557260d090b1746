// The question for a key.

import { html, useState } from "./vendor/htm-preact.js";
import { Dialog } from "./dialog.js";
import { currentKey, isRemembered, keep } from "./key.js";

// problem: why it is asked for, or null; done: called with whether a key was given.
export function KeyDialog({ problem, done }) {
  const [key, setKey] = useState("");
  const [remember, setRemember] = useState(isRemembered());
  const given = (event) => {
    event.preventDefault();
    keep(key.trim(), remember);
    done(true);
  };
  const forget = () => {
    keep(null, false);
    done(false);
  };
  return html`<${Dialog} title="API key" close=${() => done(false)}>
    <form onSubmit=${given}>
      ${problem && html`<p class="why" role="alert">${problem.body.detail}</p>`}
      ${!problem && html`<p class="hint">Without a key a server on this computer recognises and reads. To change
        something takes a key; on other computers everything does. <code>whichone keys create</code> makes one.</p>`}
      <label class="field">Key
        <input type="password" name="key" autofocus autocomplete="off" spellcheck=${false} required value=${key}
          onInput=${(event) => setKey(event.target.value)} />
      </label>
      <label class="tick"><input type="checkbox" checked=${remember}
        onChange=${(event) => setRemember(event.target.checked)} />
        Remember on this computer <span class="hint">(otherwise until this tab is closed)</span></label>
      <div class="buttons">
        ${currentKey() && html`<button type="button" class="quiet danger" onClick=${forget}>Forget the key</button>`}
        <button type="button" class="quiet" onClick=${() => done(false)}>Cancel</button>
        <button type="submit" class="primary">Use this key</button>
      </div>
    </form>
  <//>`;
}
