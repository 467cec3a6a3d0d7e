// MediaPipe Tasks for the web or LiteRT.js, in Chromium without network.
// Called as `node with_web.mjs MODEL PICTURES OUT mediapipe|litert|litert-webgpu`, from the directory
// that has node_modules. See protocol.py for OUT. WebGPU runs on SwiftShader, a GPU in software.
import {createServer} from "node:http";
import {mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync} from "node:fs";
import {createRequire} from "node:module";
import {tmpdir} from "node:os";
import {dirname, extname, join, normalize} from "node:path";
import {fileURLToPath} from "node:url";

const SCORE = 0.2;
const [model, pictures, out, client] = process.argv.slice(2);
const here = dirname(fileURLToPath(import.meta.url));
const modules = join(process.cwd(), "node_modules");
const {chromium} = createRequire(join(modules, "x.js"))("playwright-core");
const TYPES = {".html": "text/html", ".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm"};
const LITERT = "@litertjs/core";
const PACKAGES = {mediapipe: "@mediapipe/tasks-vision", litert: LITERT, "litert-webgpu": LITERT};
const GPU = client === "litert-webgpu"
  ? ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--enable-features=Vulkan", "--ignore-gpu-blocklist"]
  : ["--disable-gpu", "--enable-unsafe-swiftshader"];

// labels.txt is the only entry of the zip archive at the model's end, stored as it is
function labelsOf(file) {
  const data = readFileSync(file);
  const header = data.lastIndexOf(Buffer.from("PK\x03\x04"));
  const start = header + 30 + data.readUInt16LE(header + 26) + data.readUInt16LE(header + 28);
  return data.subarray(start, start + data.readUInt32LE(header + 18));
}

function contentOf(path) {
  if (path === "/") return [".html", readFileSync(join(here, "web.html"))];
  if (path === "/model.tflite") return ["", readFileSync(model)];
  if (path === "/labels.txt") return ["", labelsOf(model)];
  const [, root, ...rest] = normalize(path).split("/");
  const base = {modules, pictures}[root];
  return [extname(path), readFileSync(join(base, ...rest))];
}

const server = createServer((request, response) => {
  try {
    const [type, content] = contentOf(decodeURIComponent(new URL(request.url, "http://x").pathname));
    response.writeHead(200, {
      "Content-Type": TYPES[type] ?? "application/octet-stream",
      "Cross-Origin-Opener-Policy": "same-origin",
      "Cross-Origin-Embedder-Policy": "require-corp",
    });
    response.end(content);
  } catch {
    response.writeHead(404).end();
  }
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));

const profile = mkdtempSync(join(tmpdir(), "chromium-"));
const browser = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  headless: true,
  args: [
    ...GPU, "--no-sandbox", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
  ],
});
try {
  const page = await browser.newPage();
  page.setDefaultTimeout(0);
  page.on("pageerror", (error) => console.error(String(error)));
  if (client === "litert-webgpu") page.on("console", (message) => console.log(message.text()));
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  await page.waitForFunction(() => window.ready);
  const names = readdirSync(pictures).sort();
  const found = await page.evaluate(
    ([name, list, score]) => window.detectAll(name, list, score), [client, names, SCORE]);
  const {version} = JSON.parse(readFileSync(join(modules, PACKAGES[client], "package.json"), "utf8"));
  writeFileSync(out, JSON.stringify({version, pictures: found}));
} finally {
  await browser.close();
  server.close();
  rmSync(profile, {recursive: true, force: true});
}
