// What a gallery chose, and why; and calibrating it, for another budget or share of strangers if you like.

import { html, useState } from "./vendor/htm-preact.js";
import { call } from "./api.js";
import { useDoing } from "./doing.js";
import { Trouble } from "./trouble.js";
import { number, percent } from "./words.js";

const WHY = { on: "by the settings", off: "by the settings", measured: "measured on itself", default: "by default" };

// gallery: of GET /galleries; changed: called after a calibration.
export function Calibration({ gallery, changed }) {
  const [budget, setBudget] = useState("");
  const [share, setShare] = useState("");
  const { busy, value, problem, run } = useDoing();
  const calibrate = async (event) => {
    event.preventDefault();
    const json = {
      ...(budget !== "" && { far_budget: Number(budget) / 100 }),
      ...(share !== "" && { unknown_share: Number(share) / 100 }),
    };
    if (await run(() => call("POST", `/galleries/${gallery.name}/calibrate`, { json }))) changed();
  };
  return html`<section aria-label="Calibration">
    <h2>Calibration</h2>
    <p class="hint">It follows the gallery by itself, within seconds after a change.</p>
    ${gallery.choices.length > 0 ? html`<${Choices} choices=${gallery.choices} />`
      : html`<p class="hint">Nothing is chosen before the first calibration.</p>`}
    <form class="line" onSubmit=${calibrate}>
      <label class="field">New false-accept budget, in %
        <input name="budget" type="number" min="0.001" max="99.9" step="any" inputmode="decimal"
          placeholder=${`as it is: ${percent(gallery.far_budget)}`}
          value=${budget} onInput=${(event) => setBudget(event.target.value)} /></label>
      <label class="field">Questions about unknown things, in %
        <input name="share" type="number" min="0.1" max="99.9" step="any" inputmode="decimal"
          placeholder=${gallery.unknown_share === null ? "as the settings say"
            : `as it is: ${percent(gallery.unknown_share)}`}
          value=${share} onInput=${(event) => setShare(event.target.value)} /></label>
      <button type="submit" disabled=${busy}>${busy ? "Calibrating …" : "Calibrate now"}</button>
    </form>
    ${value && html`<p role="status"
      class="well">Calibrated: known from a confidence of <b>${percent(value.threshold)}</b>,
      for a budget of ${percent(value.far_budget)}, if ${percent(value.calibration.unknown_prior)} of the questions are
      about unknown things.</p>`}
    <${Trouble} problem=${problem} />
  </section>`;
}

function Choices({ choices }) {
  return html`<div class="scroll"><table>
    <thead><tr><th>part</th><th>used</th><th>why</th><th class="number">right without</th>
      <th class="number">right with</th><th class="number">queries</th></tr></thead>
    <tbody>${choices.map((choice) => html`<tr key=${choice.part}>
      <th scope="row">${choice.part}${choice.form ? html` <span class="hint">${choice.form}</span>` : ""}</th>
      <td>${choice.used ? "yes" : "no"}</td><td>${WHY[choice.why] ?? choice.why}</td>
      <td class="number">${choice.right_without === null ? "–" : percent(choice.right_without)}</td>
      <td class="number">${choice.right_with === null ? "–" : percent(choice.right_with)}</td>
      <td class="number">${number(choice.queries)}</td></tr>`)}</tbody>
  </table></div>`;
}
