// Several photos: asked about in pieces, one row each.

import { html, useContext, useEffect, useRef, useState } from "./vendor/htm-preact.js";
import { call, formOf } from "./api.js";
import { Here } from "./here.js";
import { useBlobAddress } from "./picking.js";
import { Trouble } from "./trouble.js";
import { VerdictChip } from "./verdict.js";
import { counted, percent } from "./words.js";

const AT_ONCE = 8; // photos in a request: small enough that rows fill while one looks, and within any limit's reason
const KINDS = ["known", "ambiguous", "unknown", "not answered"];
const BYTES_AT_ONCE = 12 * 2 ** 20;

// open: called with the file that somebody wants to look at closer.
export function Several({ files, inside, open }) {
  const here = useContext(Here);
  const [answers, setAnswers] = useState({});
  const [problem, setProblem] = useState(null);
  const [turn, setTurn] = useState(0);
  const known = useRef({});
  useEffect(() => {
    const giveUp = new AbortController();
    setProblem(null);
    const answered = (index, result) => {
      known.current = { ...known.current, [index]: result };
      setAnswers(known.current);
    };
    const left = [...files.keys()].filter((index) => !(index in known.current));
    askAll(files, left, { gallery: here.gallery, inside, signal: giveUp.signal, answered }).then(
      () => here.say(`${counted(files.length, "photo")} answered. ${summary(known.current)}`),
      (error) => giveUp.signal.aborted || setProblem(error),
    );
    return () => giveUp.abort();
  }, [turn]);
  const done = Object.keys(answers).length;
  return html`<section class="several" aria-label="Answers">
    <p><b>${done} of ${files.length}</b> answered${done > 0 && html`: ${summary(answers)}`}</p>
    ${done < files.length && html`<progress value=${done} max=${files.length} aria-label="Photos answered"></progress>`}
    <${Trouble} problem=${problem} again=${() => setTurn((now) => now + 1)} />
    <ul class="rows">${files.map((file, index) => html`<${Row} key=${index} file=${file} result=${answers[index]}
      open=${() => open(file)} />`)}</ul>
  </section>`;
}

function Row({ file, result, open }) {
  const address = useBlobAddress(file);
  const answer = result?.recognition;
  return html`<li class="row">
    <button type="button" class="photo" onClick=${open} aria-label=${`Look at ${file.name} closer`}>
      <span class="thumb">${address && html`<img src=${address} alt="" loading="lazy" decoding="async" />`}</span>
    </button>
    <div class="what">
      <span class="small name">${file.name}</span>
      ${!result && html`<span class="hint">waiting …</span>`}
      ${answer && html`<b class="label">${answer.label ?? (answer.candidates[0]
        ? html`<span class="hint">nearest: ${answer.candidates[0].label}</span>` : "")}</b>`}
      ${result?.problem && html`<span class="failed">${result.problem.detail}</span>`}
    </div>
    ${answer && html`<div class="judged"><${VerdictChip} verdict=${answer.verdict} />
      <span class="number">${percent(answer.confidence)}</span></div>`}
  </li>`;
}

function summary(answers) {
  const tally = {};
  for (const { recognition } of Object.values(answers)) {
    const kind = recognition?.verdict ?? "not answered";
    tally[kind] = (tally[kind] ?? 0) + 1;
  }
  return KINDS.filter((kind) => tally[kind]).map((kind) => `${tally[kind]} ${kind}`).join(", ");
}

// Asks about files[index] of every index, in pieces; `answered(index, { recognition } or { problem })` for each.
// A server that takes fewer at a time says so, and is asked in smaller pieces. Throws where nothing can be answered.
async function askAll(files, indices, { gallery, inside, signal, answered }) {
  let most = inside ? AT_ONCE / 4 : AT_ONCE;
  const left = [...indices];
  while (left.length) {
    const piece = pieceOf(files, left, most);
    const form = formOf({ images: piece.map((index) => files[index]), search: inside ? "inside" : null });
    try {
      const { results } = await call("POST", "/recognize/batch", { query: { gallery }, form, signal });
      piece.forEach((index, at) => answered(index, results[at]));
    } catch (error) {
      if (!["too_many_images", "request_too_large"].includes(error.code)) throw error;
      if (piece.length > 1) {
        most = Math.min(Math.floor(piece.length / 2), error.code === "too_many_images" ? error.body.limit : most);
        continue;
      }
      answered(piece[0], { problem: error.body });
    }
    left.splice(0, piece.length);
  }
}

function pieceOf(files, left, most) {
  let bytes = 0;
  const piece = left.slice(0, most).filter((index, at) => (bytes += files[index].size) <= BYTES_AT_ONCE || at === 0);
  return left.slice(0, piece.length);
}
