import { byId } from "./dom.js";

const THEMES = ["automatic", "light", "dark"] as const;

/** The button that goes through the colours; the choice is kept. */
export function theme(): void {
  const button = byId("button", "theme");
  let at = Math.max(0, THEMES.indexOf((localStorage.getItem("theme") ?? "automatic") as (typeof THEMES)[number]));
  const show = () => {
    const name = THEMES[at] ?? "automatic";
    if (name === "automatic") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = name;
    button.textContent = `Colours: ${name}`;
    localStorage.setItem("theme", name);
  };
  button.addEventListener("click", () => {
    at = (at + 1) % THEMES.length;
    show();
  });
  show();
}
