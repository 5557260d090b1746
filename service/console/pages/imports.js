// The view of imports in the background: send a zip, watch the jobs.

import { html, useContext, useRef, useState } from "./vendor/htm-preact.js";
import { call, formOf, upload } from "./api.js";
import { Here } from "./here.js";
import { Job } from "./job.js";
import { useEvery, usePaged } from "./loading.js";
import { DropArea } from "./picking.js";
import { Trouble } from "./trouble.js";
import { percent } from "./words.js";

const ENDED = ["done", "failed", "cancelled"];

export function Imports() {
  const here = useContext(Here);
  const { rows, setRows, more, problem, busy, again } = usePaged(async (after, signal) => {
    const page = await call("GET", "/jobs", { query: { gallery: here.gallery, after, limit: 20 }, signal });
    return { rows: page.jobs, next: page.next };
  }, [here.gallery, here.keyTurn]);
  const changed = (job) => setRows((now) => now.map((one) => (one.id === job.id ? job : one)));
  const refresh = async (job) => {
    try {
      const now = await call("GET", `/jobs/${job.id}`, { query: { gallery: here.gallery }, quiet: true });
      changed(now);
      if (ENDED.includes(now.state)) {
        here.say(`Import of ${now.source.name}: ${now.state}`);
        here.refresh();
      }
    } catch {
      // The next look may succeed; what is shown is of a moment ago.
    }
  };
  const open = rows.filter((job) => !ENDED.includes(job.state));
  useEvery(1, open.length > 0, () => open.forEach(refresh));
  return html`<div class="imports">
    <h1>Imports <span class="hint">into ${here.gallery}</span></h1>
    <${Send} begun=${(job) => setRows((now) => [job, ...now])} />
    <section aria-label="Jobs">
      <div class="head"><h2>Jobs</h2><button type="button" class="quiet" onClick=${again}>Refresh</button></div>
      <${Trouble} problem=${problem} again=${again} />
      ${!busy && !problem && rows.length === 0 && html`<p class="hint">Nothing was imported into this gallery yet.</p>`}
      <ul class="jobs">${rows.map((job) => html`<${Job} key=${job.id} job=${job} changed=${changed} />`)}</ul>
      ${busy && html`<p class="loading">Loading …</p>`}
      ${more && html`<button type="button" class="quiet" onClick=${more}>Older jobs</button>`}
    </section>
  </div>`;
}

// begun: called with the job that an upload made.
function Send({ begun }) {
  const here = useContext(Here);
  const [file, setFile] = useState(null);
  const [distractors, setDistractors] = useState(false);
  const [share, setShare] = useState(null);
  const [problem, setProblem] = useState(null);
  const chooser = useRef(null);
  const giveUp = useRef(null);
  const send = async (event) => {
    event?.preventDefault();
    giveUp.current = new AbortController();
    setProblem(null);
    setShare(0);
    try {
      const form = formOf({ distractors: String(distractors), archive: file });
      const options = { form, progress: setShare, signal: giveUp.current.signal };
      begun(await upload("/index/import", { query: { gallery: here.gallery }, ...options }));
      setFile(null);
    } catch (error) {
      setProblem(error);
    }
    setShare(null);
  };
  const chosen = (event) => {
    setFile(event.target.files[0] ?? null);
    setProblem(null);
    event.target.value = "";
  };
  const zips = (transfer) => [...transfer.files].slice(0, 1);
  return html`<form onSubmit=${send}>
    <${DropArea} dropped=${([first]) => share === null && setFile(first)} accept=${zips} class="area">
      <p>${file ? html`<b>${file.name}</b> <span class="hint">${size(file.size)}</span>`
        : html`<span class="hint">Drop a zip here, or</span>`}</p>
      <button type="button" onClick=${() => chooser.current.click()}
        disabled=${share !== null}>${file ? "Another zip" : "Choose a zip"}</button>
      <input ref=${chooser} type="file" accept=".zip,application/zip" hidden onChange=${chosen}
        aria-label="Choose a zip" />
      <p class="hint">One folder a label; or an items.csv or labels.csv with the columns path,label (and, if you
        like, external_id,metadata).</p>
    <//>
    <label class="tick"><input type="checkbox" checked=${distractors} disabled=${share !== null}
      onChange=${(event) => setDistractors(event.target.checked)} />
      All of them are distractors <span class="hint">(show nothing of the gallery)</span></label>
    ${share !== null && html`<div><progress value=${share} max="1" aria-label="Upload"></progress>
      <p role="status">${share < 1 ? `Sending: ${percent(share)}` : "Sent; the server looks through it …"}</p></div>`}
    <${Trouble} problem=${problem} again=${file ? send : null} />
    <div class="buttons start">
      <button type="submit" class="primary" disabled=${!file || share !== null}>Import</button>
      ${share !== null && html`<button type="button" onClick=${() => giveUp.current.abort()}>Stop</button>`}
    </div>
  </form>`;
}

function size(bytes) {
  return bytes < 2 ** 20 ? `${Math.ceil(bytes / 2 ** 10)} KiB` : `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}
