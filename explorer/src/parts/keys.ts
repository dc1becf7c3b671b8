// Keyboard shortcuts, wherever the focus is; fields keep the keys that they need.

export interface Actions {
  search: () => void;
  step: (by: number) => void;
  page: (by: number) => void;
  enter: () => void;
  play: () => void;
  skip: (seconds: number) => void;
  level: (number: number) => void;
  sample: (by: number) => void;
  playRow: () => void;
  star: () => void;
  compare: () => void;
  swap: () => void;
  help: () => void;
  back: () => void;
}

const SKIP = 5; // seconds

export function listen(actions: Actions): void {
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (document.querySelector("dialog[open]") !== null) return;
    const target = event.target instanceof Element ? event.target : document.body;
    const action = target.matches("input:not([type=range]), textarea, select") ? inField(event, target) : anywhere(event, target);
    if (action === null) return;
    event.preventDefault();
    action(actions);
  });
}

type Action = ((actions: Actions) => void) | null;

function inField(event: KeyboardEvent, target: Element): Action {
  if (event.key === "Escape") return () => (target as HTMLElement).blur();
  if (!target.matches("[type=search]")) return null;
  if (event.key === "ArrowDown") return (actions) => actions.step(1);
  if (event.key === "Enter") return (actions) => actions.enter();
  return null;
}

function anywhere(event: KeyboardEvent, target: Element): Action {
  const pressable = target.closest("button, a, summary") !== null;
  const list = target.closest(".list") !== null;
  switch (event.key) {
    case "/":
      return (actions) => actions.search();
    case "?":
      return (actions) => actions.help();
    case "Escape":
      return (actions) => actions.back();
    case "j":
      return (actions) => actions.step(1);
    case "k":
      return (actions) => actions.step(-1);
    case "ArrowDown":
    case "ArrowUp":
      if (!list && target !== document.body) return null;
      return (actions) => actions.step(event.key === "ArrowDown" ? 1 : -1);
    case "PageDown":
    case "PageUp":
      return list ? (actions) => actions.page(event.key === "PageDown" ? 1 : -1) : null;
    case "Home":
    case "End":
      if (list) return (actions) => actions.step(event.key === "Home" ? -Infinity : Infinity);
      if (target.matches("[role=slider]")) return (actions) => actions.skip(event.key === "Home" ? -Infinity : Infinity);
      return null;
    case "Enter":
      return pressable || !(list || target === document.body) ? null : (actions) => actions.enter();
    case " ":
      return pressable ? null : (actions) => actions.play();
    case "ArrowLeft":
    case "ArrowRight":
      if (target.matches("input")) return null;
      return (actions) => actions.skip(event.key === "ArrowLeft" ? -SKIP : SKIP);
    case "1":
    case "2":
    case "3":
      return (actions) => actions.level(Number(event.key));
    case "[":
      return (actions) => actions.sample(-1);
    case "]":
      return (actions) => actions.sample(1);
    case "p":
      return (actions) => actions.playRow();
    case "s":
      return (actions) => actions.star();
    case "c":
      return (actions) => actions.compare();
    case "x":
      return (actions) => actions.swap();
    default:
      return null;
  }
}
