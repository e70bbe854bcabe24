// Copies the few browser files that Sen ID ships from node_modules into the
// Python package, so that neither an install nor a request needs Node or
// another host. Run `npm ci --ignore-scripts && npm run vendor`; the result is
// the same on every run, so that a difference in version control is a finding.
import { createHash } from "node:crypto";
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, "..", "..");
const target = join(root, "idp", "web", "static", "vendor");
const axeTarget = join(root, "tests", "support", "axe");
const modules = join(here, "node_modules");

const FONT = "Be Vietnam Pro";
// A later rule wins where ranges overlap, so Vietnamese stands last: its pages
// then need two subsets and never fetch latin-ext for a single letter.
const SUBSETS = ["latin-ext", "latin", "vietnamese"];
// The semibold file serves every bold weight: one download less.
const WEIGHTS = [
  { file: "400", css: "400" },
  { file: "600", css: "600 700" },
];

const read = (...path) => readFileSync(join(modules, ...path), "utf8");
const about = (name) => JSON.parse(read(name, "package.json"));
const manifest = [];

/** Writes one package's folder and records its checksums. */
function vendor(name, folder, files, changes = "none") {
  const { version, license } = about(name);
  const directory = join(target, `${folder}-${version}`);
  mkdirSync(directory, { recursive: true });
  const checksums = {};
  for (const [file, content] of Object.entries(files).sort()) {
    writeFileSync(join(directory, file), content);
    checksums[file] = createHash("sha256").update(content).digest("hex");
  }
  manifest.push({ name, version, licence: license, folder: `${folder}-${version}`, changes, sha256: checksums });
}

/**
 * The design system's style sheet in our own dress: its typeface and crest are
 * reserved for gov.uk, so the font is renamed, its @font-face and every
 * reference to the assets folder go, and so does the source map comment.
 */
function redress(css) {
  const result = css
    .replace(/\/\*![\s\S]*?\*\/(?=@font-face)/g, "")
    .replace(/@font-face\{[^}]*\}/g, "")
    .replace(/GDS Transport/g, `"${FONT}"`)
    .replace(/url\(\/assets\/[^)]*\)/g, "none")
    .replace(/\/\*# sourceMappingURL=.*?\*\//g, "");
  for (const forbidden of ["GDS Transport", "/assets/", "@font-face", "data:"]) {
    if (result.includes(forbidden)) throw new Error(`the style sheet still contains ${forbidden}`);
  }
  return result;
}

/** The @font-face rules of the chosen subsets and weights, woff2 only. */
function fontSheet(unicode) {
  const rules = WEIGHTS.flatMap((weight) =>
    SUBSETS.map(
      (subset) => `@font-face {
  font-family: "${FONT}";
  font-style: normal;
  font-display: swap;
  font-weight: ${weight.css};
  src: url(be-vietnam-pro-${subset}-${weight.file}-normal.woff2) format("woff2");
  unicode-range: ${unicode[subset]};
}`,
    ),
  );
  return `${rules.join("\n")}\n`;
}

rmSync(target, { recursive: true, force: true });

vendor("govuk-frontend", "govuk-frontend", {
  "govuk-frontend.min.css": redress(read("govuk-frontend", "dist", "govuk", "govuk-frontend.min.css")),
  "govuk-frontend.min.js": read("govuk-frontend", "dist", "govuk", "govuk-frontend.min.js").replace(
    /\/\/# sourceMappingURL=.*/,
    "",
  ),
  "LICENSE.txt": readFileSync(join(here, "licences", "govuk-frontend.txt"), "utf8"),
}, "font renamed to Be Vietnam Pro; gov.uk typeface, crest and source maps left out");

const fontPackage = "@fontsource/be-vietnam-pro";
const fonts = { "LICENSE.txt": read(fontPackage, "LICENSE") };
for (const weight of WEIGHTS) {
  for (const subset of SUBSETS) {
    const file = `be-vietnam-pro-${subset}-${weight.file}-normal.woff2`;
    fonts[file] = readFileSync(join(modules, fontPackage, "files", file));
  }
}
fonts["be-vietnam-pro.css"] = fontSheet(JSON.parse(read(fontPackage, "unicode.json")));
vendor(fontPackage, "be-vietnam-pro", fonts);

writeFileSync(join(target, "manifest.json"), `${JSON.stringify(manifest, null, 2)}\n`);

// The accessibility checker of the browser tests; never served to anyone.
mkdirSync(axeTarget, { recursive: true });
for (const file of ["axe.min.js", "LICENSE"]) {
  cpSync(join(modules, "axe-core", file), join(axeTarget, file));
}
