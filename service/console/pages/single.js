// One photo, or a part of it, and its answer.

import { html, useContext, useEffect, useState } from "./vendor/htm-preact.js";
import { call, formOf } from "./api.js";
import { boxText, Frame } from "./frame.js";
import { Here } from "./here.js";
import { useLoaded } from "./loading.js";
import { Teach } from "./teach.js";
import { Trouble } from "./trouble.js";
import { Candidates, Verdict, spoken } from "./verdict.js";

export function Single({ file, inside }) {
  const here = useContext(Here);
  const [box, setBox] = useState(null);
  const { value: answer, problem, busy, again } = useLoaded((signal) => {
    const form = formOf({ image: file, box: box && boxText(box), search: inside ? "inside" : null });
    return call("POST", "/recognize", { query: { gallery: here.gallery }, form, signal });
  }, [file, box, inside], { keep: true });
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
      ${answer && !problem && html`<${Verdict} answer=${answer} /><${Teach} key=${answer.id} file=${file}
        answer=${answer} again=${again} />`}
    </div>
    ${answer && !problem && html`<${Candidates} key=${answer.id} answer=${answer} />`}
  </div>`;
}
