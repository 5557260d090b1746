// One photo, or a part of it, and its answer.

import { html, useContext, useEffect, useState } from "./vendor/htm-preact.js";
import { call, formOf } from "./api.js";
import { boxText, Frame } from "./frame.js";
import { Here } from "./here.js";
import { Judge } from "./judging.js";
import { useLoaded } from "./loading.js";
import { Teach } from "./teach.js";
import { Trouble } from "./trouble.js";
import { Candidates, Verdict, spoken } from "./verdict.js";

export function Single({ file, inside }) {
  const here = useContext(Here);
  const [box, setBox] = useState(null);
  const { value, problem, busy, again } = useLoaded(async (signal) => {
    const asked = box && boxText(box);
    const form = formOf({ image: file, box: asked, search: inside ? "inside" : null });
    const answered = await call("POST", "/recognize", { query: { gallery: here.gallery }, form, signal });
    return { answer: answered, part: answered.box?.join(",") ?? asked }; // kept together: another box may be drawn
  }, [file, box, inside], { keep: true });
  const answer = value?.answer;
  useEffect(() => answer && here.say(spoken(answer)), [answer]);
  return html`<div class="single">
    <div class="asked-photo">
      <${Frame} file=${file} box=${box} found=${busy || problem ? null : answer?.box}
        known=${answer?.verdict === "known"} ask=${setBox} />
      <p class="hint under">${box
        ? html`Asked about the marked part. <button type="button" class="link"
          onClick=${() => setBox(null)}>Ask about the whole photo</button>`
        : "Drag over the photo to ask about a part of it."}</p>
    </div>
    <div class=${`answer ${busy ? "busy" : ""}`} aria-busy=${busy}>
      ${busy && !answer && html`<p class="loading">Looking …</p>`}
      <${Trouble} problem=${problem} again=${again} />
      ${answer && !problem && html`<${Verdict} answer=${answer} />
        <${Judge} key=${`judge ${answer.id}`} file=${file} part=${value.part} answer=${answer} />
        <${Teach} key=${answer.id} file=${file} answer=${answer} again=${again} />`}
    </div>
    ${answer && !problem && html`<${Candidates} key=${answer.id} answer=${answer} />`}
  </div>`;
}
