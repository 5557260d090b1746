// The view of what a gallery holds: its labels, and the photos of one of them.

import { html, useContext, useEffect, useMemo, useRef, useState } from "./vendor/htm-preact.js";
import { AddPhotos } from "./adding.js";
import { call } from "./api.js";
import { Here, hashOf } from "./here.js";
import { matching } from "./label-field.js";
import { LabelPhotos } from "./label-photos.js";
import { useLoaded } from "./loading.js";
import { Trouble } from "./trouble.js";
import { counted, number } from "./words.js";

const AT_A_TIME = 200; // labels that are drawn; the filter finds the rest

// place: { label }: the one that is looked at, or null; view `distractors` for those.
export function Gallery({ place }) {
  const here = useContext(Here);
  const [adding, setAdding] = useState(null); // the label to start with
  const { value, problem, busy, again } = useLoaded(
    (signal) => call("GET", "/labels", { query: { gallery: here.gallery }, signal }),
    [here.gallery, here.keyTurn],
  );
  const changed = () => {
    again();
    here.refresh();
  };
  const [turn, setTurn] = useState(0);
  const added = () => {
    setTurn((now) => now + 1);
    changed();
  };
  const missing = problem?.code === "unknown_gallery";
  const looked = place.label !== null || place.view === "distractors";
  return html`<div class=${`gallery ${looked ? "looked" : ""}`}>
    <aside class="labels" aria-label="Labels">
      <div class="head"><h1>${here.gallery}</h1><button type="button" class="primary"
        onClick=${() => setAdding("")}>Add photos</button></div>
      ${missing ? html`<p class="hint">There is no gallery of this name yet. Its first photo makes it.</p>`
        : html`<${Trouble} problem=${problem} again=${again} />`}
      ${busy && !value && html`<p class="loading">Loading …</p>`}
      ${value && !problem && html`<${LabelList} labels=${value.labels} place=${place} />`}
    </aside>
    <section class="content">
      ${looked
        ? html`<${LabelPhotos} key=${`${here.gallery} ${place.view} ${place.label}`}
          label=${place.view === "distractors" ? null : place.label} changed=${changed}
            turn=${turn} add=${() => setAdding(place.label ?? "")} distractors=${place.view === "distractors"} />`
        : (missing || value) && html`<${Overview} labels=${missing ? [] : value.labels} />`}
    </section>
    ${adding !== null && html`<${AddPhotos} label=${adding} distractors=${place.view === "distractors"}
      close=${() => setAdding(null)} changed=${added} />`}
  </div>`;
}

function LabelList({ labels, place }) {
  const here = useContext(Here);
  const [sought, setSought] = useState("");
  const [most, setMost] = useState(AT_A_TIME);
  const distractors = here.galleries?.find((gallery) => gallery.name === here.gallery)?.distractors;
  const names = useMemo(() => new Map(labels.map((one) => [one.label, one.items])), [labels]);
  const found = useMemo(() => matching([...names.keys()], sought, Infinity), [names, sought]);
  const list = useRef(null);
  useEffect(() => {
    list.current.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest" });
  }, [place.label, labels]);
  const filter = (event) => {
    setSought(event.target.value);
    setMost(AT_A_TIME);
  };
  return html`
    <label class="field"><span class="unseen">Filter labels</span>
      <input type="search" placeholder=${`Filter ${counted(labels.length, "label")}`} value=${sought} onInput=${filter}
        spellcheck=${false} autocomplete="off" /></label>
    <p class="unseen" aria-live="polite">${sought && counted(found.length, "label")}</p>
    <ul class="list" ref=${list}>
      ${!sought && html`<li><a class="distractors" href=${hashOf({ gallery: here.gallery, view: "distractors" })}
        aria-current=${place.view === "distractors" ? "true" : undefined}>
        <span>Distractors</span><span class="number">${number(distractors)}</span></a></li>`}
      ${found.slice(0, most).map((label) => html`<li key=${label}>
        <a href=${hashOf({ gallery: here.gallery, view: "gallery", label })}
          aria-current=${place.label === label ? "true" : undefined}>
        <span>${label}</span><span class="number">${number(names.get(label))}</span></a></li>`)}
    </ul>
    ${found.length === 0 && sought && html`<p class="hint">No label holds “${sought}”.</p>`}
    ${found.length > most && html`<button type="button" class="quiet"
      onClick=${() => setMost(most + AT_A_TIME)}>${number(found.length - most)} more</button>`}`;
}

function Overview({ labels }) {
  if (labels.length === 0) {
    return html`<div class="empty"><h2>No photos yet</h2>
      <p class="hint">Add photos of each thing that is to be known, a label each: three to five, as they will be
      photographed later, are a good start. Whole folders come faster as a zip, under <b>Imports</b>.</p></div>`;
  }
  const photos = labels.reduce((sum, one) => sum + one.items, 0);
  return html`<div class="overview"><h2>${counted(labels.length, "label")}, ${counted(photos, "photo")}</h2>
    <p class="hint">Choose a label to see its photos.</p></div>`;
}
