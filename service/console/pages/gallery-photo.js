// Photos of the gallery. They need the key's header, so they are fetched and shown from a blob: address.

import { html, useContext, useEffect, useRef, useState } from "./vendor/htm-preact.js";
import { call } from "./api.js";
import { Dialog } from "./dialog.js";
import { Here } from "./here.js";
import { Trouble } from "./trouble.js";
import { useLoaded } from "./loading.js";
import { when } from "./words.js";

const AT_A_TIME = 4; // photos that are fetched together: the interface has other things to answer
let running = 0;
const waiting = [];

async function inTurn(work) {
  if (running >= AT_A_TIME) await new Promise((go) => waiting.push(go));
  running += 1;
  try {
    return await work();
  } finally {
    running -= 1;
    waiting.shift()?.();
  }
}

// A photo, fetched once it comes near the window.
export function GalleryPhoto({ id, gallery, label, eager = false }) {
  const here = useContext(Here);
  const place = useRef(null);
  const [near, setNear] = useState(eager);
  const [shown, setShown] = useState(null);
  const [missing, setMissing] = useState(null);
  useEffect(() => {
    if (near) return undefined;
    const seen = (entries) => entries.some((entry) => entry.isIntersecting) && setNear(true);
    const watch = new IntersectionObserver(seen, { rootMargin: "200px" });
    watch.observe(place.current);
    return () => watch.disconnect();
  }, [near]);
  useEffect(() => {
    if (!near) return undefined;
    const giveUp = new AbortController();
    let made = null;
    setMissing(null);
    inTurn(async () => {
      if (giveUp.signal.aborted) return;
      const options = { query: { gallery }, as: "blob", quiet: true, signal: giveUp.signal };
      const photo = await call("GET", `/index/${id}/image`, options);
      made = URL.createObjectURL(photo);
      if (giveUp.signal.aborted) URL.revokeObjectURL(made);
      else setShown(made);
    }).catch((error) => giveUp.signal.aborted || setMissing(error));
    return () => {
      giveUp.abort();
      if (made) URL.revokeObjectURL(made);
    };
  }, [near, id, gallery, here.keyTurn]);
  return html`<span ref=${place} class="thumb">
    ${missing && html`<span class="missing"
      title=${missing.message}>${missing.status === 404 ? "deleted" : "not shown"}</span>`}
    ${shown && !missing && html`<img src=${shown} alt=${label ?? "distractor"}
      onError=${() => setMissing({ message: "this browser cannot show the photo", status: 0 })} />`}
  </span>`;
}

// One photo, large, with what is known of it. facts: of a recognition; actions: buttons.
export function Viewer({ id, gallery, facts = {}, close, actions = null }) {
  const here = useContext(Here);
  const { value: item, problem, again } = useLoaded(
    (signal) => call("GET", `/index/${id}`, { query: { gallery }, signal }),
    [id, gallery, here.keyTurn],
  );
  const pairs = { ...facts, ...(item ? notedOf(item) : {}) };
  return html`<${Dialog} title=${item?.label ?? (item ? "Distractor" : "Photo")} close=${close} wide>
    <div class="viewer">
      <${GalleryPhoto} id=${id} gallery=${gallery} label=${item?.label} eager />
      <div>
        <dl class="pairs small">${Object.entries(pairs).map(([name, value]) => html`<dt key=${name}>${name}</dt>
          <dd>${value}</dd>`)}</dl>
        <${Trouble} problem=${problem} again=${again} />
        ${item && actions?.(item)}
      </div>
    </div>
  <//>`;
}

function notedOf(item) {
  const text = (value) => (typeof value === "string" ? value : JSON.stringify(value));
  const metadata = Object.entries(item.metadata ?? {}).map(([name, value]) => [`metadata: ${name}`, text(value)]);
  return {
    size: `${item.width} × ${item.height}`,
    added: when(item.created_at),
    ...(item.external_id ? { "external id": item.external_id } : {}),
    ...Object.fromEntries(metadata),
    id: item.id,
    sha256: item.sha256,
  };
}
