// Windows that change a label or one of its photos; what cannot be undone asks first.

import { html, useContext, useState } from "./vendor/htm-preact.js";
import { call } from "./api.js";
import { Dialog, Question } from "./dialog.js";
import { GalleryPhoto } from "./gallery-photo.js";
import { Here } from "./here.js";
import { LabelField } from "./label-field.js";
import { useLoaded } from "./loading.js";
import { Trouble } from "./trouble.js";
import { counted } from "./words.js";

// done: called with the server's answer.
export function RenameLabel({ label, close, done }) {
  const here = useContext(Here);
  const query = { gallery: here.gallery };
  const { value } = useLoaded((signal) => call("GET", "/labels", { query, signal }), [here.gallery]);
  const twin = (name) => value?.labels.find((one) => one.label === name.trim().normalize("NFC") && one.label !== label);
  return html`<${NewLabel} title="Rename label" field="New name" from=${label}
    verb=${(name) => (twin(name) ? "Merge" : "Rename")} close=${close} done=${done}
    act=${(name) => call("PATCH", `/labels/${encodeURIComponent(label)}`, { query, json: { label: name } })}
    remark=${(name) => twin(name) && html`<p class="why" role="status">
      <b>${twin(name).label}</b> exists, with ${counted(twin(name).items, "photo")}:
        ${" "}the two become one label.</p>`} />`;
}

export function RelabelPhoto({ item, close, done }) {
  const here = useContext(Here);
  return html`<${NewLabel} title="Relabel photo" field="The photo shows" from=${item.label} verb=${() => "Relabel"}
    close=${close} done=${done}
    act=${(name) => call("PATCH", `/index/${item.id}`, { query: { gallery: here.gallery }, json: { label: name } })}
      remark=${() => null} />`;
}

function NewLabel({ title, field, from, verb, act, remark, close, done }) {
  const [name, setName] = useState(from);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState(null);
  const submit = async (event) => {
    event.preventDefault();
    setBusy(true);
    setProblem(null);
    try {
      const answer = await act(name);
      close();
      done(answer);
    } catch (error) {
      setProblem(error);
      setBusy(false);
    }
  };
  return html`<${Dialog} title=${title} close=${close}>
    <form onSubmit=${submit}>
      <${LabelField} title=${field} value=${name} change=${setName} autofocus />
      ${remark(name)}
      <${Trouble} problem=${problem} />
      <div class="buttons"><button type="button" class="quiet" onClick=${close}>Cancel</button>
        <button type="submit" class="primary"
          disabled=${busy || !name.trim() || name === from}>${busy ? "Working …" : verb(name)}</button></div>
    </form>
  <//>`;
}

export function DeleteLabel({ label, items, close, done }) {
  const here = useContext(Here);
  return html`<${Question} title="Delete label" verb=${`Delete ${counted(items, "photo")}`} close=${close} done=${done}
    act=${() => call("DELETE", `/labels/${encodeURIComponent(label)}`, { query: { gallery: here.gallery } })}>
    <p>Delete <b class="label">${label}</b> with
      ${" "}${items === 1 ? "its only photo" : `all of its ${counted(items, "photo")}`}? This cannot be undone.</p>
  <//>`;
}

export function DeletePhoto({ item, close, done }) {
  const here = useContext(Here);
  return html`<${Question} title="Delete photo" verb="Delete" close=${close} done=${done}
    act=${() => call("DELETE", `/index/${item.id}`, { query: { gallery: here.gallery } })}>
    <div class="deleted"><${GalleryPhoto} id=${item.id} gallery=${here.gallery} label=${item.label} eager />
      <p>Delete this photo of ${item.label === null ? "nothing (a distractor)"
        : html`<b class="label">${item.label}</b>`}? This cannot be undone.</p></div>
  <//>`;
}
