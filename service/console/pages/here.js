// What every part of the page knows: the gallery it is about, and how to reach the rest.

import { createContext } from "./vendor/htm-preact.js";

// { gallery, galleries (null before they are known), refresh(), keyTurn, openKey(), say(text) }
export const Here = createContext(null);

// Where the page is, as the part of its address behind the #: gallery, view, and a label or null.
export function placeOf(hash) {
  const [gallery, view, label] = hash.replace(/^#\/?/, "").split("/").map(decoded);
  return { gallery: gallery || "default", view: view || "recognise", label: label ?? null };
}

export function hashOf({ gallery, view, label = null }) {
  const parts = [gallery, view, ...(label === null ? [] : [label])];
  return `#/${parts.map(encodeURIComponent).join("/")}`;
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
