// A photo that was asked about, enrolled: it goes into the gallery.

import { html, useContext, useState } from "./vendor/htm-preact.js";
import { call, formOf } from "./api.js";
import { Here, hashOf } from "./here.js";
import { LabelField } from "./label-field.js";
import { Trouble } from "./trouble.js";

const INVITATIONS = {
  known: "Add this photo to the gallery",
  ambiguous: "Add this photo to the gallery",
  unknown: "Should it be known? Add it to the gallery",
};

// again: asks about the photo once more.
export function Teach({ file, answer, again }) {
  const here = useContext(Here);
  const [label, setLabel] = useState("");
  const [state, setState] = useState({ busy: false, problem: null, added: null });
  const add = async (path, fields) => {
    setState({ busy: true, problem: null, added: null });
    try {
      const form = formOf({ ...fields, images: file });
      const { items } = await call("POST", path, { query: { gallery: here.gallery }, form });
      setState({ busy: false, problem: null, added: items[0] });
      here.say("Added to the gallery");
      here.refresh();
    } catch (problem) {
      setState({ busy: false, problem, added: null });
    }
  };
  if (state.added) return html`<${Added} item=${state.added} again=${again} />`;
  const choices = answer.verdict === "ambiguous" ? answer.candidates.slice(0, 2).map(({ label: one }) => one) : [];
  const submit = (event) => {
    event.preventDefault();
    add("/index", { label });
  };
  return html`<details class="teach" open=${answer.verdict !== "known"}>
    <summary>${INVITATIONS[answer.verdict]}</summary>
    ${choices.map((choice) => html`<button key=${choice} type="button" disabled=${state.busy}
      onClick=${() => add("/index", { label: choice })}>Add as ${choice}</button>`)}
    <form onSubmit=${submit} class="line">
      <${LabelField} title="Add this photo to the gallery as" value=${label} change=${setLabel} />
      <button type="submit" class="primary"
        disabled=${state.busy || !label.trim()}>${state.busy ? "Adding …" : "Add"}</button>
    </form>
    ${answer.verdict === "unknown" && html`<p><button type="button" disabled=${state.busy}
      onClick=${() => add("/index/distractors", {})}>Add as a distractor</button>
      ${" "}<span class="hint">It shows nothing of the gallery, now or later; the gallery learns what strangers
        look like.</span></p>`}
    <${Trouble} problem=${state.problem} />
  </details>`;
}

function Added({ item, again }) {
  const here = useContext(Here);
  const view = item.label === null ? "distractors" : "gallery";
  const place = hashOf({ gallery: here.gallery, view, label: item.label });
  return html`<div class="added">
    <p>${item.duplicate ? "The gallery had this photo already: " : "Added: "}
      <a href=${place}>${item.label ?? "distractors"}</a>.
      ${" "}<span class="hint">The gallery calibrates itself within seconds.</span></p>
    <button type="button" class="primary" onClick=${again}>Ask again</button>
  </div>`;
}
