import { byId } from "./dom.js";

const THEMES = ["automatic", "light", "dark"] as const;

/** Lets the button cycle through the colours, and keeps the choice. */
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
