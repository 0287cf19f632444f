/** Run by `node --test scripts/`. */

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "node:test";

import { anchor, docs } from "./docs.mjs";

function made(files) {
  const root = mkdtempSync(join(tmpdir(), "docs-"));
  try {
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(dirname(join(root, name)), { recursive: true });
      writeFileSync(join(root, name), text);
    }
    return docs(root);
  } finally {
    rmSync(root, { recursive: true });
  }
}

test("our own documentation is whole", () => {
  const found = docs(join(dirname(fileURLToPath(import.meta.url)), "../../docs"));
  assert.ok(Object.keys(found.pages).length > 40);
  assert.deepEqual(found.sections.map((one) => one.name), ["start", "guides", "explain", "reference"]);
  assert.equal(found.sections[0].pages[0], "start/install");
  for (const { html } of Object.values(found.pages)) {
    for (const tag of html.match(/<[^>]*>/g)) {
      assert.doesNotMatch(tag, /^<(script|iframe|style|object|form)| on\w+=| style=|href="(?!\/docs\/|\/v1\/openapi\.json|https?:)/);
    }
  }
  assert.ok(found.search.some((part) => part.page === "guides/bucket" && part.text.includes("copy.csv")));
});

test("HTML in a source is text", () => {
  const { html } = made({ "guides/a.md": "# A <b>\n\n<script>alert(1)</script>\n\nand <img src=x onerror=y> `<i>`\n" }).pages["guides/a"];
  assert.doesNotMatch(html, /<(script|img|b|i)\b/);
  assert.match(html, /&lt;script&gt;/);
});

test("links lead to pages of the application", () => {
  const found = made({
    "guides/a.md": "# A\n\n[b](../explain/b.md#the-point) [up](#a) [out](https://example.org) [file](../other.toml)\n",
    "explain/b.md": "# B\n\n## The point\n",
    "other.toml": "",
  });
  const { html } = found.pages["guides/a"];
  assert.match(html, /href="\/docs\/explain\/b#the-point"/);
  assert.match(html, /href="\/docs\/guides\/a#a"/);
  assert.match(html, /href="https:\/\/example.org" rel="noopener noreferrer"/);
  assert.match(html, / file<\/p>/);
});

for (const [what, text] of [
  ["a page", "[x](none.md)"],
  ["a heading", "[x](#none)"],
  ["a file", "[x](../none.txt)"],
  ["a script", "[x](javascript:alert(1))"],
  ["a picture", "![x](none.png)"],
]) {
  test(`a link to ${what} that cannot be stops the build`, () => {
    assert.throws(() => made({ "guides/a.md": `# A\n\n${text}\n` }), /guides\/a\.md/);
  });
}

test("a page without title, and one in no section, stop it too", () => {
  assert.throws(() => made({ "guides/a.md": "words" }), /no title/);
  assert.throws(() => made({ "misc/a.md": "# A" }), /no section/);
});

test("anchors are GitHub's", () => {
  const taken = new Set();
  assert.equal(anchor("`POST /v1/job`: what, why?", taken), "post-v1job-what-why");
  assert.equal(anchor("Files", taken), "files");
  assert.equal(anchor("Files", taken), "files-1");
});
