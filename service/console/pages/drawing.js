// A rectangle drawn over something, with the mouse, a finger or the keyboard: its sides as fractions, x0, y0, x1, y1.

import { useRef, useState } from "./vendor/htm-preact.js";

const LEAST = 0.02; // of a side; a smaller rectangle is a click that slipped
const STEP = 0.02;
const MIDDLE = [0.25, 0.25, 0.75, 0.75];
const ARROWS = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };

const clamp = (value) => Math.min(1, Math.max(0, value));
const spanned = ([ax, ay], [bx, by]) => [Math.min(ax, bx), Math.min(ay, by), Math.max(ax, bx), Math.max(ay, by)];
const large = ([x0, y0, x1, y1]) => x1 - x0 >= LEAST && y1 - y0 >= LEAST;

// box: the rectangle there is, or null; done: called with another one, or with null where it was taken away.
// Gives a ref for the element, the rectangle while it is being drawn (else null), and the element's event handlers.
export function useDrawing(box, done) {
  const [drawn, setDrawn] = useState(null);
  const area = useRef(null);
  const from = useRef(null);
  const at = (event) => {
    const { left, top, width, height } = area.current.getBoundingClientRect();
    return [clamp((event.clientX - left) / width), clamp((event.clientY - top) / height)];
  };
  const end = () => {
    from.current = null;
    setDrawn(null);
  };
  const handlers = {
    onPointerDown(event) {
      if (event.button !== 0) return;
      event.preventDefault();
      area.current.focus({ preventScroll: true });
      area.current.setPointerCapture(event.pointerId);
      from.current = at(event);
    },
    onPointerMove: (event) => from.current && setDrawn(spanned(from.current, at(event))),
    onPointerUp(event) {
      if (!from.current) return;
      const made = spanned(from.current, at(event));
      end();
      if (large(made)) done(made);
    },
    onPointerCancel: end,
    onKeyDown(event) {
      const moved = keyed(event, drawn ?? box ?? MIDDLE);
      if (event.key === "Enter" && drawn) {
        end();
        done(drawn);
      } else if (event.key === "Escape" && (drawn || box)) {
        end();
        if (box) done(null);
      } else if (moved && large(moved)) {
        setDrawn(drawn ?? box ? moved : MIDDLE);
      } else return;
      event.preventDefault();
    },
  };
  return { area, drawn, handlers };
}

// The rectangle after an arrow key; null for any other key.
function keyed(event, [x0, y0, x1, y1]) {
  if (!(event.key in ARROWS)) return null;
  const [dx, dy] = ARROWS[event.key];
  if (event.shiftKey) return [x0, y0, clamp(x1 + dx), clamp(y1 + dy)];
  if (x0 + dx < 0 || x1 + dx > 1 || y0 + dy < 0 || y1 + dy > 1) return [x0, y0, x1, y1];
  return [x0 + dx, y0 + dy, x1 + dx, y1 + dy];
}
