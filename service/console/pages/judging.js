// Whether an answer was right, said by who knows: kept as feedback. It enrols nothing.

import { html, useContext, useState } from "./vendor/htm-preact.js";
import { call, formOf } from "./api.js";
import { useDoing } from "./doing.js";
import { standing } from "./feedback.js";
import { Here } from "./here.js";
import { LabelField } from "./label-field.js";
import { Trouble } from "./trouble.js";

const OFFERED = 3; // other candidates, at most
const NONE = { unknown: true };

// part: what was answered about, as `box` of POST /feedback; null for the whole photo.
export function Judge({ file, part, answer }) {
  const here = useContext(Here);
  const [asking, setAsking] = useState(true);
  const { busy, value: noted, problem, run } = useDoing();
  const say = async (word) => {
    const query = { gallery: here.gallery };
    const went = await run(async () => {
      const form = formOf({ image: file, box: part, ...word });
      const said = await call("POST", "/feedback", { query, form });
      // What was said is noted, whether or not it can be told how many there are.
      const counts = await call("GET", "/feedback", { query, quiet: true }).catch(() => null);
      here.say(`Noted. ${counts ? `${standing(counts)}.` : ""}`);
      return { said, counts };
    });
    setAsking(!went);
  };
  return html`<div class="judge">
    ${asking ? html`<${Asked} answer=${answer} say=${say} busy=${busy} />`
      : html`<${Noted} ...${noted} change=${() => setAsking(true)} />`}
    <${Trouble} problem=${problem} />
    <p class="small hint">Feedback teaches the gallery how far to trust its answers. It does not add the photo.</p>
  </div>`;
}

function Asked({ answer, say, busy }) {
  const [wrong, setWrong] = useState(false);
  const best = answer.verdict === "unknown" ? null : answer.candidates[0]?.label ?? null;
  return html`<div class="asked">
      <b>${answer.verdict === "ambiguous" && best !== null ? html`Is it ${best}?` : "Is that right?"}</b>
      ${best !== null && html`<button type="button" disabled=${busy} onClick=${() => say({ label: best })}>Yes</button>`}
      ${answer.verdict === "unknown" && html`<button type="button" disabled=${busy}
        onClick=${() => say(NONE)}>Yes, unknown</button>`}
      <button type="button" aria-expanded=${wrong} onClick=${() => setWrong(!wrong)}>No</button>
    </div>
    ${wrong && html`<${Correction} answer=${answer} best=${best} say=${say} busy=${busy} />`}`;
}

// best: the label that was asked about, and is not offered again; null where none was.
function Correction({ answer, best, say, busy }) {
  const [label, setLabel] = useState("");
  const others = answer.candidates.map((candidate) => candidate.label).filter((one) => one !== best).slice(0, OFFERED);
  const submit = (event) => {
    event.preventDefault();
    say({ label });
  };
  return html`<p>What does it show?</p>
    <div class="others">
      ${others.map((other) => html`<button key=${other} type="button" disabled=${busy}
        onClick=${() => say({ label: other })}>${other}</button>`)}
      ${answer.verdict !== "unknown" && html`<button type="button" disabled=${busy}
        onClick=${() => say(NONE)}>Nothing that this gallery has</button>`}
    </div>
    <form class="line" onSubmit=${submit}>
      <${LabelField} title="Another label" value=${label} change=${setLabel} />
      <button type="submit" disabled=${busy || !label.trim()}>${busy ? "Noting …" : "Note it"}</button>
    </form>`;
}

// said: of POST /feedback; counts: of GET /feedback, or null.
function Noted({ said, counts, change }) {
  const when = said.duplicate ? "Noted before" : said.replaced ? "Noted, in place of your last word" : "Noted";
  const what = said.label === null ? "nothing that this gallery has" : html`<b class="label">${said.label}</b>`;
  return html`<p class="noted">${when}: ${what}${
    said.label !== null && !said.known ? ", which this gallery does not have" : ""}.
    ${said.enrolled && " The gallery has this very photo, so it does not count."}
    ${counts && ` ${standing(counts)}.`}
    ${" "}<button type="button" class="link" onClick=${change}>Say otherwise</button></p>`;
}
