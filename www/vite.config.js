import { defineConfig } from "vite";

export default defineConfig({
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
