/**
 * Version of entries, events and frames. A change of any wire schema needs a new number; the test beside this file holds the hash.
 *
 * 1: the first one.
 */
export const WIRE_VERSION = 1;
