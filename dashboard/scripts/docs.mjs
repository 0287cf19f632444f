#!/usr/bin/env node
/**
 * Makes the documentation a part of the application: docs/**.md become src/generated/docs.json, which the page /docs loads when it
 * is opened.
 *
 *   node scripts/docs.mjs [FROM [TO]]        by default ../docs and src/generated/docs.json
 *
 * The shape, {Docs}:
 *   sections: [{name, title, pages: [slug]}]             in the order of the navigation
 *   pages:    {slug: {title, html, headings: [{id, text, level}]}}     slug as in "guides/bucket", the page is /docs/guides/bucket
 *   search:   [{page, id, title, text}]                  a part of a page, from one heading to the next; id "" = its begin
 *
 * HTML in the sources is shown as text, links to other pages lead to /docs/.., and what cannot be resolved stops the build.
 */

import { mkdirSync, readdirSync, readFileSync, writeFileSync, existsSync } from "node:fs";
import { dirname, extname, join, posix, relative, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

import hljs from "highlight.js/lib/core";
import ini from "highlight.js/lib/languages/ini";
import json from "highlight.js/lib/languages/json";
import python from "highlight.js/lib/languages/python";
import bash from "highlight.js/lib/languages/bash";
import yaml from "highlight.js/lib/languages/yaml";
import { Marked } from "marked";

for (const [name, language] of Object.entries({ bash, ini, json, python, yaml })) hljs.registerLanguage(name, language);

const LANGUAGES = { sh: "bash", shell: "bash", console: "bash", toml: "ini", ini: "ini", json: "json", python: "python", py: "python", yaml: "yaml" };
const SECTIONS = { start: "Start", guides: "Guides", explain: "How it works", reference: "Reference" };
const FIRST = ["start/install", "start/first-call"];
const SERVED = { "reference/openapi.json": "/v1/openapi.json" };
const PICTURES = { ".png": "image/png", ".svg": "image/svg+xml", ".jpg": "image/jpeg", ".webp": "image/webp" };
const LARGEST_PICTURE = 200_000;

/** Text as HTML shows it. */
function escaped(text) {
  return text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;").replace(/"/g, "&quot;");
}

/** The text of rendered HTML. */
function plain(html) {
  const text = html.replace(/<[^>]*>/g, " ").replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&quot;/g, '"').replace(/&#39;/g, "'");
  return text.replace(/&amp;/g, "&").replace(/\s+/g, " ").trim();
}

/** Names for headings, as GitHub makes them; `taken` holds those of the page so far. */
export function anchor(text, taken) {
  const base = text.toLowerCase().replace(/[^\p{L}\p{N}\p{M}_ -]/gu, "").replace(/ /g, "-");
  let name = base;
  for (let number = 1; taken.has(name); number++) name = `${base}-${number}`;
  taken.add(name);
  return name;
}

/** Every Markdown file below a folder, as paths with / from it. */
function files(root, folder = root) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((one) => {
    const path = join(folder, one.name);
    if (one.isDirectory()) return files(root, path);
    return extname(one.name) === ".md" ? [relative(root, path).replaceAll("\\", "/")] : [];
  });
}

/** Renders one page. `links` collects [from, slug, anchor] to be looked at when all pages are known. */
function page(root, file, links) {
  const slug = file.replace(/\.md$/, "");
  const taken = new Set();
  const headings = [];
  const marked = new Marked({ gfm: true, async: false });
  marked.use({ renderer: renderer(root, slug, taken, headings, links) });
  const html = marked.parse(readFileSync(join(root, file), "utf8"));
  const title = headings.find((one) => one.level === 1)?.text;
  if (!title) throw new Error(`${file} has no title`);
  return { slug, title, html, headings: headings.filter((one) => one.level > 1), anchors: taken };
}

function renderer(root, slug, taken, headings, links) {
  return {
    heading({ tokens, depth }) {
      const inner = this.parser.parseInline(tokens);
      const text = plain(inner);
      const id = anchor(text, taken);
      headings.push({ id, text, level: depth });
      return `<h${depth} id="${escaped(id)}">${inner}</h${depth}>\n`;
    },
    code({ text, lang }) {
      const name = LANGUAGES[(lang ?? "").split(/\s/)[0]];
      const inner = name ? hljs.highlight(text, { language: name }).value : escaped(text);
      return `<pre tabindex="0"><code${lang ? ` data-language="${escaped(lang)}"` : ""}>${inner}\n</code></pre>\n`;
    },
    html({ text }) {
      return text.startsWith("<!--") ? "" : escaped(text);
    },
    table(token) {
      const row = (cells, tag) => `<tr>${cells.map((cell) => `<${tag}>${this.parser.parseInline(cell.tokens)}</${tag}>`).join("")}</tr>`;
      const body = token.rows.map((cells) => row(cells, "td")).join("\n");
      return `<div class="table" tabindex="0"><table><thead>${row(token.header, "th")}</thead><tbody>${body}</tbody></table></div>\n`;
    },
    link({ href, tokens }) {
      const inner = this.parser.parseInline(tokens);
      if (/^https?:/.test(href)) return `<a href="${escaped(href)}" rel="noopener noreferrer" target="_blank">${inner}</a>`;
      if (/^[a-z]+:/i.test(href)) throw new Error(`${slug}.md links to ${href}`);
      const to = target(root, slug, href, links);
      return to ? `<a href="${escaped(to)}">${inner}</a>` : inner;
    },
    image({ href, text }) {
      const path = resolve(root, dirname(slug), href);
      const kind = PICTURES[extname(path).toLowerCase()];
      if (!kind || !existsSync(path)) throw new Error(`${slug}.md shows ${href}, which is not there`);
      const data = readFileSync(path);
      if (data.length > LARGEST_PICTURE) return `<em>${escaped(text)}</em>`;
      return `<img alt="${escaped(text)}" src="data:${kind};base64,${data.toString("base64")}">`;
    },
  };
}

/** Where a relative link leads in the application; "" = to a file that is not served, so that it is none here. */
function target(root, slug, href, links) {
  const [path, name = ""] = href.split("#");
  const file = path ? posix.normalize(posix.join(posix.dirname(slug), path)) : `${slug}.md`;
  if (SERVED[file]) return SERVED[file];
  if (file.endsWith(".md") && !file.startsWith("..")) {
    const to = file.replace(/\.md$/, "");
    links.push([slug, to, name]);
    return `/docs/${to}${name ? `#${name}` : ""}`;
  }
  if (!existsSync(join(root, file))) throw new Error(`${slug}.md links to ${href}, which is not there`);
  return "";
}

/** The parts of a page, for the search. */
function parts({ slug, title, html }) {
  const pieces = html.split(/(?=<h[1-6] id=")/).filter((one) => plain(one));
  return pieces.map((piece) => {
    const found = /^<h([1-6]) id="([^"]*)">(.*?)<\/h\1>/s.exec(piece);
    const top = !found || found[1] === "1";
    return { page: slug, id: top ? "" : found[2], title: top ? title : plain(found[3]), text: plain(found ? piece.slice(found[0].length) : piece) };
  });
}

/** Everything that the page /docs shows. */
export function docs(root) {
  const links = [];
  const made = files(root).map((file) => page(root, file, links));
  const known = new Map(made.map((one) => [one.slug, one]));
  for (const [from, to, name] of links) {
    if (!known.has(to)) throw new Error(`${from}.md links to ${to}.md, which is not there`);
    if (name && !known.get(to).anchors.has(name)) throw new Error(`${from}.md links to #${name} of ${to}.md, which has no such heading`);
  }
  const order = (slug) => (FIRST.includes(slug) ? FIRST.indexOf(slug) : FIRST.length);
  made.sort((a, b) => order(a.slug) - order(b.slug) || a.title.localeCompare(b.title, "en"));
  const sections = Object.entries(SECTIONS).map(([name, title]) => {
    const pages = made.filter((one) => one.slug.startsWith(`${name}/`)).map((one) => one.slug);
    return { name, title, pages };
  });
  const lost = made.filter((one) => !sections.some((section) => section.pages.includes(one.slug)));
  if (lost.length) throw new Error(`in no section: ${lost.map((one) => one.slug).join(", ")}`);
  const pages = Object.fromEntries(made.map(({ slug, title, html, headings }) => [slug, { title, html, headings }]));
  return { sections: sections.filter((one) => one.pages.length), pages, search: made.flatMap(parts) };
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const here = dirname(fileURLToPath(import.meta.url));
  const from = resolve(process.argv[2] ?? join(here, "../../docs"));
  const to = resolve(process.argv[3] ?? join(here, "../src/generated/docs.json"));
  mkdirSync(dirname(to), { recursive: true });
  writeFileSync(to, JSON.stringify(docs(from)));
}
