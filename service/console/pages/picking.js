// Files from a person: chosen, dropped, pasted, or taken with the camera.

import { html, useEffect, useRef, useState } from "./vendor/htm-preact.js";

const PHOTO = /^image\//;

// Files of a drop or paste that may be photos; a file without a known type is left to the server to judge.
export function photosOf(transfer) {
  return [...(transfer?.files ?? [])].filter((file) => PHOTO.test(file.type) || file.type === "");
}

// Buttons that open the file chooser, and on phones and tablets the camera. picked: called with an array of files.
export function PickButtons({ picked, primary = false, words = "Choose photos" }) {
  const chooser = useRef(null);
  const camera = useRef(null);
  const changed = (event) => {
    const files = [...event.target.files];
    event.target.value = ""; // the same file may be chosen again
    if (files.length) picked(files);
  };
  return html`<span class="pick">
    <button type="button" class=${primary ? "primary" : ""} onClick=${() => chooser.current.click()}>${words}</button>
    <button type="button" class="camera" onClick=${() => camera.current.click()}>Take a photo</button>
    <input ref=${chooser} type="file" accept="image/*,.heic,.heif" multiple hidden onChange=${changed}
      aria-label=${words} />
    <input ref=${camera} type="file" accept="image/*" capture="environment" hidden onChange=${changed}
      aria-label="Take a photo" />
  </span>`;
}

// An area that files can be dropped on; of the whole window where `everywhere`.
export function DropArea({ dropped, accept = photosOf, everywhere = false, children, ...rest }) {
  const [over, setOver] = useState(false);
  const area = useRef(null);
  const latest = useRef(dropped);
  latest.current = dropped;
  useEffect(() => {
    const target = everywhere ? window : area.current;
    let depth = 0;
    const holdsFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
    const handlers = {
      dragenter: () => setOver(++depth > 0),
      dragleave: () => setOver(--depth > 0),
      dragover: (event) => event.preventDefault(),
      drop: (event) => {
        event.preventDefault();
        depth = 0;
        setOver(false);
        const files = accept(event.dataTransfer);
        if (files.length) latest.current(files);
      },
    };
    const listening = Object.entries(handlers).map(
      ([name, handle]) => [name, (event) => holdsFiles(event) && handle(event)],
    );
    for (const [name, handle] of listening) target.addEventListener(name, handle);
    return () => listening.forEach(([name, handle]) => target.removeEventListener(name, handle));
  }, [everywhere]);
  return html`<div ref=${area} ...${rest} class=${`${rest.class ?? ""} drop ${over ? "over" : ""}`}>${children}</div>`;
}

// Calls `pasted` with the photos that are pasted anywhere on the page, while `wanted`.
export function usePaste(wanted, pasted) {
  const latest = useRef(pasted);
  latest.current = pasted;
  useEffect(() => {
    if (!wanted) return undefined;
    const paste = (event) => {
      const files = photosOf(event.clipboardData);
      if (files.length) latest.current(files);
    };
    window.addEventListener("paste", paste);
    return () => window.removeEventListener("paste", paste);
  }, [wanted]);
}

// A blob: address of a file, as long as it is shown.
export function useBlobAddress(file) {
  const [address, setAddress] = useState(null);
  useEffect(() => {
    if (!file) return undefined;
    const made = URL.createObjectURL(file);
    setAddress(made);
    return () => URL.revokeObjectURL(made);
  }, [file]);
  return file ? address : null;
}
