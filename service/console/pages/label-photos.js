// The photos of one label, or the distractors; and what can be done with them.

import { html, useContext, useState } from "./vendor/htm-preact.js";
import { call } from "./api.js";
import { GalleryPhoto, Viewer } from "./gallery-photo.js";
import { DeleteLabel, DeletePhoto, RelabelPhoto, RenameLabel } from "./label-changes.js";
import { Here, hashOf } from "./here.js";
import { usePaged } from "./loading.js";
import { Trouble } from "./trouble.js";
import { counted } from "./words.js";

const PAGE = 48;

// label: null where distractors are looked at; turn: another number when photos were added; changed: called when some
// were taken away; add: opens the window for more.
export function LabelPhotos({ label, distractors, turn, changed, add }) {
  const here = useContext(Here);
  const [doing, setDoing] = useState(null); // { what, item }
  const [gone, setGone] = useState(0);
  const { rows, setRows, first, more, problem, busy, again } = usePaged(async (after, signal) => {
    const query = { gallery: here.gallery, kind: distractors ? "distractor" : "item", label, after, limit: PAGE };
    const page = await call("GET", "/index", { query, signal });
    if (after === null) setGone(0);
    return { rows: page.items, next: page.next, total: page.total };
  }, [here.gallery, label, distractors, turn, here.keyTurn]);
  const close = () => setDoing(null);
  const done = (id) => {
    setRows((now) => now.filter((one) => one.id !== id)); // and stay where one is in a long list
    setGone((now) => now + 1);
    changed();
  };
  const moved = (renamed) => {
    changed();
    location.hash = hashOf({ gallery: here.gallery, view: "gallery", label: renamed });
  };
  const total = first ? first.total - gone : null;
  const item = doing?.item;
  return html`
    <a class="back" href=${hashOf({ gallery: here.gallery, view: "gallery" })}>← Labels</a>
    <div class="head"><h2 class="label">${distractors ? "Distractors" : label}</h2>
      <p class="hint">${total !== null && counted(total, "photo")}</p></div>
    ${distractors && html`<p class="hint">Photos that show nothing of the gallery. What looks like them is
      held against a candidate.</p>`}
    <div class="buttons start">
      <button type="button" onClick=${add}>Add photos</button>
      ${!distractors && html`<button type="button" onClick=${() => setDoing({ what: "rename" })}>Rename</button>
        <button type="button" class="danger" disabled=${total === null}
          onClick=${() => setDoing({ what: "delete label" })}>Delete label</button>`}
    </div>
    <${Trouble} problem=${problem} again=${again} />
    <ul class="photos">${rows.map((one) => html`<li key=${one.id}>
      <button type="button" class="photo" onClick=${() => setDoing({ what: "look", item: one })}
        aria-label=${`Photo ${one.external_id ?? one.id.slice(0, 8)}`}>
        <${GalleryPhoto} id=${one.id} gallery=${here.gallery} label=${one.label} /></button>
    </li>`)}</ul>
    ${busy && html`<p class="loading">Loading …</p>`}
    ${!busy && !problem && rows.length === 0 && html`<p class="hint">There are none.</p>`}
    ${more && html`<button type="button" class="quiet"
      onClick=${more}>More (${counted(total - rows.length, "photo")} left)</button>`}
    ${doing?.what === "look" && html`<${Viewer} id=${item.id} gallery=${here.gallery} close=${close}
      actions=${(shown) => html`<div class="buttons start">
      ${!distractors && html`<button type="button"
        onClick=${() => setDoing({ what: "relabel", item: shown })}>Relabel</button>`}
      <button type="button" class="danger"
        onClick=${() => setDoing({ what: "delete", item: shown })}>Delete</button></div>`} />`}
    ${doing?.what === "relabel" && html`<${RelabelPhoto} item=${item} close=${close} done=${() => done(item.id)} />`}
    ${doing?.what === "delete" && html`<${DeletePhoto} item=${item} close=${close} done=${() => done(item.id)} />`}
    ${doing?.what === "rename" && html`<${RenameLabel} label=${label} close=${close}
      done=${(answer) => moved(answer.label)} />`}
    ${doing?.what === "delete label" && html`<${DeleteLabel} label=${label} items=${total} close=${close}
      done=${() => moved(null)} />`}`;
}
