// nodemailer: one process, its pool of connections, templates by Handlebars.

const fs = require("node:fs");
const path = require("node:path");
const readline = require("node:readline");
const { createRequire } = require("node:module");

const setup = JSON.parse(process.argv[2]);
const modules = createRequire(path.join(setup.modules, "package.json"));
const nodemailer = modules("nodemailer");
const handlebars = modules("handlebars");

const transport = nodemailer.createTransport({
  pool: true,
  host: setup.host,
  port: setup.port,
  secure: false,
  ignoreTLS: !setup.user,
  requireTLS: Boolean(setup.user),
  auth: setup.user ? { user: setup.user, pass: setup.password } : undefined,
  // It signs by RSA only.
  dkim: setup.keys.length
    ? {
        domainName: "shop.example",
        keySelector: setup.keys[0][0],
        privateKey: fs.readFileSync(setup.keys[0][1], "utf8"),
      }
    : undefined,
  maxConnections: setup.connections,
  maxMessages: Infinity,
});

function compiled(kind) {
  const folder = path.join(setup.templates, kind === "text" ? "text" : "newsletter");
  const read = (name) => {
    const file = path.join(folder, name);
    return fs.existsSync(file) ? handlebars.compile(fs.readFileSync(file, "utf8")) : null;
  };
  return { subject: read("subject.txt"), text: read("body.txt"), html: read("body.html") };
}

async function enqueue({ kind, rows }) {
  const templates = compiled(kind);
  const lines = fs.readFileSync(rows, "utf8").trim().split("\n");
  const attachments =
    kind === "attachment"
      ? [{ filename: "catalogue.pdf", content: fs.readFileSync(setup.attachment) }]
      : [];
  let next = 0;
  const sender = async () => {
    while (next < lines.length) {
      const row = JSON.parse(lines[next++]);
      await transport.sendMail({
        from: setup.sender,
        to: row.email,
        subject: templates.subject(row).trim(),
        text: templates.text(row),
        html: templates.html ? templates.html(row) : undefined,
        attachments,
      });
    }
  };
  await Promise.all(Array.from({ length: 2 * setup.connections }, sender));
  return lines.length;
}

console.log(JSON.stringify("ready"));
readline.createInterface({ input: process.stdin }).on("line", async (line) => {
  console.log(JSON.stringify(await enqueue(JSON.parse(line))));
}).on("close", () => process.exit(0));
