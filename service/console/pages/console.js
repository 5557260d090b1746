// The console: the frame around its four views.

import { html, render, useCallback, useEffect, useMemo, useState } from "./vendor/htm-preact.js";
import { call } from "./api.js";
import { Galleries } from "./galleries.js";
import { Gallery } from "./gallery.js";
import { Here, hashOf, placeOf } from "./here.js";
import { Imports } from "./imports.js";
import { KeyDialog } from "./key-dialog.js";
import { answerBy, currentKey, onKey } from "./key.js";
import { Recognise } from "./recognise.js";
import { State } from "./state.js";

const VIEWS = { recognise: "Recognise", gallery: "Gallery", imports: "Imports", state: "State" };

function Console() {
  const place = usePlace();
  const { keyTurn, dialog, openKey } = useKey();
  const { galleries, refresh } = useGalleries(keyTurn);
  const [said, setSaid] = useState("");
  const say = useCallback((text) => setSaid(text), []);
  const here = useMemo(
    () => ({ gallery: place.gallery, galleries, refresh, keyTurn, openKey, say }),
    [place.gallery, galleries, refresh, keyTurn],
  );
  const view = place.view === "distractors" ? "gallery" : place.view;
  useEffect(() => {
    document.title = `${VIEWS[view] ?? "Whichone"} · ${place.gallery} · Whichone`;
    window.scrollTo(0, 0);
  }, [view, place.gallery]);
  return html`<${Here.Provider} value=${here}>
    <a class="skip" href="#main" onClick=${skip}>Skip to the content</a>
    <header class="top">
      <a class="brand" href=${hashOf({ gallery: place.gallery, view: "recognise" })}>
        <img src="icon.svg" alt="" width="28" height="28" />Whichone</a>
      <nav aria-label="Views">${Object.entries(VIEWS).map(([name, title]) => html`<a key=${name}
        href=${hashOf({ gallery: place.gallery, view: name })}
          aria-current=${view === name ? "page" : undefined}>${title}</a>`)}</nav>
      <div class="tools">
        <${Galleries} chosen=${(gallery) => (location.hash = hashOf({ gallery, view }))} />
        <button type="button" class="key" onClick=${() => openKey()}>${currentKey() ? "Key ✓" : "Key"}</button>
      </div>
    </header>
    <main id="main" tabindex="-1">
      <${Recognise} active=${view === "recognise"} />
      ${view === "gallery" && html`<${Gallery} place=${place} />`}
      ${view === "imports" && html`<${Imports} />`}
      ${view === "state" && html`<${State} />`}
      ${!(view in VIEWS) &&
        html`<p>There is no such page.
          ${" "}<a href=${hashOf({ gallery: place.gallery, view: "recognise" })}>Recognise a photo</a></p>`}
    </main>
    <div class="unseen" aria-live="polite">${said}</div>
    ${dialog && html`<${KeyDialog} problem=${dialog.problem} done=${dialog.done} />`}
  <//>`;
}

function skip(event) {
  event.preventDefault(); // the part behind the # says which view this is
  document.getElementById("main").focus();
}

function usePlace() {
  const [place, setPlace] = useState(() => placeOf(location.hash));
  useEffect(() => {
    const moved = () => setPlace(placeOf(location.hash));
    window.addEventListener("hashchange", moved);
    return () => window.removeEventListener("hashchange", moved);
  }, []);
  return place;
}

// Counts changes of the key, and asks for one when a call needs it.
function useKey() {
  const [keyTurn, setKeyTurn] = useState(0);
  const [dialog, setDialog] = useState(null);
  const openKey = useCallback((problem = null) => new Promise((resolve) => {
    const done = (given) => {
      setDialog(null);
      resolve(given);
    };
    setDialog({ problem, done });
  }), []);
  useEffect(() => {
    answerBy(openKey);
    return onKey(() => setKeyTurn((now) => now + 1));
  }, []);
  return { keyTurn, dialog, openKey };
}

// Every gallery the key is for; null where they may not be read.
function useGalleries(keyTurn) {
  const [galleries, setGalleries] = useState(null);
  const refresh = useCallback(() => call("GET", "/galleries", { quiet: true }).then(
    (body) => setGalleries(body.galleries),
    () => setGalleries(null), // views say why, where it matters
  ), []);
  useEffect(() => void refresh(), [keyTurn]);
  return { galleries, refresh };
}

for (const name of ["dragover", "drop"]) {
  window.addEventListener(name, (event) => event.preventDefault()); // a file that misses its area replaces no page
}
const root = document.getElementById("console");
root.replaceChildren();
render(html`<${Console} />`, root);
