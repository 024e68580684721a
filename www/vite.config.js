import { readFileSync } from "node:fs";
import { defineConfig } from "vite";

/** The extensions that the command takes from folders: the file dialog has the same. */
const extensions = readFileSync(new URL("../crates/files/src/extensions.txt", import.meta.url), "utf8")
  .trim()
  .split("\n");
const accepted = ["video/*", ...extensions.map((extension) => `.${extension}`)].join(",");

export default defineConfig({
  plugins: [{ name: "video-files", transformIndexHtml: (html) => html.replace("%VIDEO_FILES%", accepted) }],
  // Served from any folder.
  base: "./",
  build: {
    target: "es2022",
    // The page's policy has no place for scripts or fonts in URLs.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  worker: { format: "es" },
  // Its Worker and modules lie beside it.
  optimizeDeps: { exclude: ["vidsieve"] },
  server: { proxy: { "/v1": "http://127.0.0.1:8787", "/media": "http://127.0.0.1:8787" } },
});
