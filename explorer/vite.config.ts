// One classic script, one style sheet and the page around them: pages opened from disk can load nothing else.

import { readFileSync } from "node:fs";
import { defineConfig } from "vite";

const licence = readFileSync("node_modules/wavesurfer.js/LICENSE", "utf8").trim();

export default defineConfig({
  publicDir: "public",
  build: {
    outDir: "../src/jukectl/explorer/page",
    emptyOutDir: true,
    target: ["chrome123", "firefox120", "safari17.5"],
    reportCompressedSize: false,
    lib: {
      entry: "src/main.ts",
      formats: ["iife"],
      name: "jukectlExplorer",
      fileName: () => "app.js",
      cssFileName: "app",
    },
    rolldownOptions: { output: { postBanner: `/*! Contains wavesurfer.js.\n\n${licence}\n*/` } },
  },
});
