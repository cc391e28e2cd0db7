/** What to change in a shared library so that an older libc can load it. */
export type ElfPatch = {
	/** Prefix that the references lose: `__isoc23_strtol` becomes `strtol`. */
	prefix: string;
	/** Version of libc.so.6 that they ask for, and the one under which the names without prefix exist. */
	from: string;
	to: string;
};

const SECTION_DYNSYM = 11;
const SECTION_VERNEED = 0x6ffffffe;
const SYMBOL_BYTES = 24;

type Section = { type: number; offset: number; size: number; link: number };
type VersionNeed = { at: number; hash: number; nameOffset: number; name: string };

/**
 * A copy of a 64-bit little-endian ELF library in which the undefined symbols with `prefix` lose it and the version `from`
 * of libc.so.6 is read as `to`. Nothing moves: only offsets into the string table and one hash change (System V gABI,
 * "Symbol Table"; LSB Core, "Symbol Versioning"). Throws when the file is not what it expects, so no half patch comes out.
 */
export function patchElf(original: Uint8Array, patch: ElfPatch): { bytes: Buffer; renamed: string[] } {
	const bytes = Buffer.from(original);
	if (bytes.length < 64 || bytes.readUInt32BE(0) !== 0x7f454c46 || bytes[4] !== 2 || bytes[5] !== 1) {
		throw new Error(`expected a 64-bit little-endian ELF file, got ${bytes.subarray(0, 6).toString("hex")}…`);
	}
	const sections = readSections(bytes);
	const symbols = sectionOf(sections, SECTION_DYNSYM, ".dynsym");
	const needs = sectionOf(sections, SECTION_VERNEED, ".gnu.version_r");
	const strings = sections[symbols.link];
	if (strings === undefined) throw new Error("expected .dynsym to link to a string table, got none");
	const text = (offset: number): string => {
		const start = strings.offset + offset;
		return bytes.toString("latin1", start, bytes.indexOf(0, start));
	};

	const renamed: string[] = [];
	for (let at = symbols.offset; at < symbols.offset + symbols.size; at += SYMBOL_BYTES) {
		const nameOffset = bytes.readUInt32LE(at);
		const undefinedHere = bytes.readUInt16LE(at + 6) === 0;
		const name = text(nameOffset);
		if (!undefinedHere || !name.startsWith(patch.prefix)) continue;
		// The name without its prefix is the tail of the same string. Undefined symbols are not in the hash table.
		bytes.writeUInt32LE(nameOffset + patch.prefix.length, at);
		renamed.push(name);
	}
	const wanted = readVersionNeeds(bytes, needs.offset, text);
	const from = wanted.find((need) => need.name === patch.from);
	const to = wanted.find((need) => need.name === patch.to);
	if (renamed.length === 0 || from === undefined || to === undefined) {
		throw new Error(
			`expected symbols with ${patch.prefix} and versions ${patch.from} and ${patch.to} of libc.so.6, ` +
				`got ${renamed.length} symbols and ${wanted.map((need) => need.name).join(", ")}`,
		);
	}
	// .gnu.version stays: the symbols keep their index, and the entry with that index now names the older version.
	bytes.writeUInt32LE(to.hash, from.at);
	bytes.writeUInt32LE(to.nameOffset, from.at + 8);
	return { bytes, renamed };
}

function readSections(bytes: Buffer): Section[] {
	const table = Number(bytes.readBigUInt64LE(0x28));
	const entryBytes = bytes.readUInt16LE(0x3a);
	return Array.from({ length: bytes.readUInt16LE(0x3c) }, (_, index) => {
		const at = table + index * entryBytes;
		return {
			type: bytes.readUInt32LE(at + 4),
			offset: Number(bytes.readBigUInt64LE(at + 24)),
			size: Number(bytes.readBigUInt64LE(at + 32)),
			link: bytes.readUInt32LE(at + 40),
		};
	});
}

function sectionOf(sections: readonly Section[], type: number, name: string): Section {
	const found = sections.find((section) => section.type === type);
	if (found === undefined) throw new Error(`expected a section ${name}, got a file without one`);
	return found;
}

/** The versions of libc.so.6 that the library asks for; `at` is where the entry (Elf64_Vernaux) begins. */
function readVersionNeeds(bytes: Buffer, start: number, text: (offset: number) => string): VersionNeed[] {
	for (let library = start; ; ) {
		if (text(bytes.readUInt32LE(library + 4)) === "libc.so.6") {
			const needs: VersionNeed[] = [];
			let at = library + bytes.readUInt32LE(library + 8);
			for (let left = bytes.readUInt16LE(library + 2); left > 0; left -= 1) {
				const nameOffset = bytes.readUInt32LE(at + 8);
				needs.push({ at, hash: bytes.readUInt32LE(at), nameOffset, name: text(nameOffset) });
				at += bytes.readUInt32LE(at + 12);
			}
			return needs;
		}
		const next = bytes.readUInt32LE(library + 12);
		if (next === 0) return [];
		library += next;
	}
}
