// lsp.mjs SERVER: what an editor makes of schemas/vm.schema.json. Drives yaml-language-server over
// stdio, as an editor does, on documents that name the schema in their first line. TAP.
import { spawn } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

const root = process.cwd();
const server = spawn(process.execPath, [process.argv[2], '--stdio'], {
	stdio: ['pipe', 'pipe', 'inherit'],
});
const waiting = new Map(); // request id, or 'diagnostics URI' -> the function that takes the answer
let nextId = 1;
let input = Buffer.alloc(0);
let results = 0;
let failed = 0;

function send(message) {
	const body = Buffer.from(JSON.stringify({ jsonrpc: '2.0', ...message }));
	server.stdin.write(`Content-Length: ${body.length}\r\n\r\n`);
	server.stdin.write(body);
}

function request(method, params) {
	const id = nextId++;
	send({ id, method, params });
	return new Promise((resolve) => waiting.set(id, resolve));
}

// The server asks for the editor's settings, one answer an item.
const settings = {
	yaml: { schemaStore: { enable: false }, validate: true, completion: true, hover: true },
};

function take(message) {
	if (message.method && message.id !== undefined) {
		const items = message.params?.items;
		send({ id: message.id, result: items ? items.map((i) => settings[i.section] ?? null) : null });
		return;
	}
	const key = message.method === 'textDocument/publishDiagnostics'
		? `diagnostics ${message.params.uri}` : message.id;
	waiting.get(key)?.(message.method ? message.params.diagnostics : message.result);
	waiting.delete(key);
}

server.stdout.on('data', (chunk) => {
	input = Buffer.concat([input, chunk]);
	for (;;) {
		const end = input.indexOf('\r\n\r\n');
		const length = end < 0 ? 0 : Number(/Content-Length: (\d+)/i.exec(input.subarray(0, end))[1]);
		if (end < 0 || input.length < end + 4 + length)
			return;
		const body = input.subarray(end + 4, end + 4 + length);
		input = input.subarray(end + 4 + length);
		take(JSON.parse(body));
	}
});

function result(good, name, ...details) {
	results++;
	console.log(`${good ? 'ok' : 'not ok'} ${results} - ${name}`);
	if (!good) {
		failed = 1;
		for (const detail of details)
			console.log(`# ${JSON.stringify(detail)}`);
	}
}

// Opens a document; '|' in it is where the cursor stands. The schema is named as README says.
let documents = 0;
async function open(text) {
	const uri = pathToFileURL(`${root}/configs/editor-test-${++documents}.yaml`).href;
	const whole = `# yaml-language-server: $schema=../schemas/vm.schema.json\n${text}`;
	const cursor = text.includes('|') && !text.includes('#') ? whole.indexOf('|') : whole.length;
	const before = whole.slice(0, cursor);
	const diagnostics = new Promise((resolve) => waiting.set(`diagnostics ${uri}`, resolve));
	send({
		method: 'textDocument/didOpen',
		params: {
			textDocument: {
				uri, languageId: 'yaml', version: 1, text: before + whole.slice(cursor + 1),
			},
		},
	});
	const lines = before.split('\n');
	return {
		diagnostics,
		at: {
			textDocument: { uri },
			position: { line: lines.length - 1, character: lines.at(-1).length },
		},
	};
}

async function complete(text) {
	const { at } = await open(text);
	const answer = await request('textDocument/completion', at);
	return answer?.items ?? answer ?? [];
}

async function diagnose(text) {
	const { diagnostics } = await open(text);
	return (await diagnostics).map((d) => ({ line: d.range.start.line, message: d.message }));
}

async function hover(text) {
	const { at } = await open(text);
	return (await request('textDocument/hover', at))?.contents?.value ?? '';
}

const boot = 'boot: {raw: {file: a.bin}}\n';

async function offers(name, text, wanted, unwanted = []) {
	const labels = (await complete(text)).map((item) => item.label);
	result(wanted.every((w) => labels.includes(w)) && !unwanted.some((w) => labels.includes(w)),
		name, { wanted, unwanted, labels });
}

// The document's line 1 is the first one of text.
async function flags(name, text, line, pattern) {
	const found = await diagnose(text);
	result(found.some((d) => d.line === line && pattern.test(d.message)), name, found);
}

async function accepts(name, text) {
	const found = await diagnose(text);
	result(found.length === 0, name, found);
}

async function main() {
	await request('initialize', {
		processId: process.pid,
		rootUri: pathToFileURL(root).href,
		workspaceFolders: null,
		capabilities: {
			workspace: { configuration: true },
			textDocument: { completion: { completionItem: { snippetSupport: true } } },
		},
	});
	send({ method: 'initialized', params: {} });

	await offers('the top level completes to its keys', '|\n',
		['vcpus', 'memory', 'boot', 'devices', 'platform', 'extends'], ['uart16550']);
	await offers('an entry of devices completes to the device names', `${boot}devices:\n  - |\n`,
		['uart16550', 'rtc', 'debug-exit', 'micro-timer'], ['vcpus', 'id']);
	await offers('inside of a device, its options complete',
		`${boot}devices:\n  - uart16550:\n      |\n`, ['id', 'port', 'at', 'irq', 'input'],
		['vcpus', 'rtc']);
	await offers('of a device that is half written, the options not yet given complete',
		`${boot}devices:\n  - uart16550:\n      irq: 4\n      |\n`, ['port', 'input'], ['irq']);
	await offers('devices+ of a layer completes too', 'extends: a.yaml\ndevices+:\n  - |\n',
		['uart16550', 'rtc']);
	await offers('boot completes to the formats', 'boot:\n  |\n', ['raw', 'elf']);
	await offers('a word completes to its choices', 'boot:\n  raw:\n    file: a\n    mode: |\n',
		['real', 'protected', 'long']);
	await offers('a truth value completes', `${boot}platform:\n  pit: |\n`, ['true', 'false']);
	await offers('a line completes to none', `${boot}devices:\n  - rtc:\n      irq: |\n`, ['none']);
	const raw = (await complete('boot:\n  |\n')).find((item) => item.label === 'raw');
	result(/file:/.test(raw?.insertText), 'a format brings the option that it needs', raw);

	let text = await hover(`${boot}vc|pus: 2\n`);
	result(/Number of virtual CPUs/.test(text) && /from 1 to/.test(text),
		'a key explains itself under the cursor', text);
	text = await hover(`${boot}devices:\n  - uart16550: {po|rt: 0x3f8}\n`);
	result(/First of its eight I\/O ports/.test(text), 'so does an option of a device', text);

	await flags('a misspelt key is marked', `${boot}vcpu: 2\n`, 2, /vcpu is not allowed/);
	await flags('a misspelt option is marked', `${boot}devices:\n  - uart16550: {prot: 1}\n`, 3,
		/prot is not allowed/);
	await flags('a misspelt device is marked', `${boot}devices:\n  - uart16650: {}\n`, 3,
		/uart16650 is not allowed/);
	await flags('a misspelt device without options is marked', `${boot}devices:\n  - uart\n`, 3,
		/no such name/);
	await flags('a bad size is marked, in our words', `${boot}memory: 1.5G\n`, 2, /Write a size/);
	await flags('a number out of its range is marked', `${boot}vcpus: 0\n`, 2, /minimum of 1/);
	await flags('a word that is none is marked', `${boot}on_reset: foo\n`, 2, /"fail", "exit"/);
	await flags('an option that is missing is marked', 'boot: {raw: {load: 0x1000}}\n', 1,
		/Missing property "file"/);
	await flags('a config without boot is marked', 'vcpus: 2\n', 1, /Missing property "boot"/);
	await accepts('a layer without boot is not', 'extends: a.yaml\nboot: {raw: {load: 0x2000}}\n');
	await accepts('a variable stands for any value',
		`${boot}memory: "\${RAM:-1M}"\nvcpus: \${CPUS}\non_reset: \${RESET}\n`);
	for (const name of readdirSync('configs').filter((n) => n.endsWith('.yaml')))
		await accepts(`configs/${name} has no mark`, readFileSync(`configs/${name}`, 'utf8'));

	console.log(`1..${results}`);
	server.kill();
	process.exit(failed);
}

main();
