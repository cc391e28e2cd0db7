import { configTable } from "../../schemas/config.ts";
import { command } from "./command.ts";
import { print } from "./terminal.ts";

export const config = command({
	name: "config",
	summary: "Prints every option of the server: environment variable, default, meaning.",
	parameters: [],
	options: {},
	example: "config",
	async run() {
		print(`${configTable()}\n`);
		return 0;
	},
});
