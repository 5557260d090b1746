// The photo that is asked about: the part that answered is drawn over it, and by hand a rectangle to ask about a part.

import { html, useState } from "./vendor/htm-preact.js";
import { useDrawing } from "./drawing.js";
import { useBlobAddress } from "./picking.js";

const HELP =
  "Your photo. Arrow keys draw and move a rectangle, with Shift they resize it; Enter asks, Escape takes it away.";
const share = (side) => `${side * 100}%`;
const place = ([x0, y0, x1, y1]) => {
  return { left: share(x0), top: share(y0), width: share(x1 - x0), height: share(y1 - y0) };
};

// A rectangle (fractions of the upright photo) as `POST /recognize` takes it.
export function boxText(box) {
  return box.map((side) => side.toFixed(4)).join(",");
}

// box: the rectangle that was asked about, or null; found: the answer's box in pixels, or null, and whether what
// it shows is known; ask: called with a rectangle, or with null for the whole photo.
export function Frame({ file, box, found, known, ask }) {
  const address = useBlobAddress(file);
  const [size, setSize] = useState(null);
  const [unseen, setUnseen] = useState(false);
  const { area, drawn, handlers } = useDrawing(box, ask);
  const shown = drawn ?? box;
  return html`<figure class="frame">
    ${unseen && html`<p class="hint">This browser cannot show ${file.name}; the server may well read it.</p>`}
    <div ref=${area} class="canvas" tabindex="0" role="group" aria-label=${HELP} hidden=${unseen} ...${handlers}>
      ${address && html`<img src=${address} alt="Your photo" draggable=${false} onError=${() => setUnseen(true)}
        onLoad=${(event) => setSize([event.target.naturalWidth, event.target.naturalHeight])} />`}
      ${shown && html`<div class="box asked" style=${place(shown)}></div>`}
      ${found && size && html`<div class="box found" style=${place(found.map((side, index) => side / size[index % 2]))}>
        <span>${known ? "found here" : "nearest here"}</span></div>`}
    </div>
  </figure>`;
}
