/** The methods of every module: models, records, comparisons, local indices. */

import { comparePair } from "./comparison.js";
import { findDuplicates } from "./duplicates.js";
import { LocalIndices } from "./local-indices.js";
import type { Handlers } from "./methods.js";
import type { Models } from "./models.js";
import { searchIndex } from "./search.js";

/** Returns the methods of a module with these models. */
export function slimHandlers<E extends { free(): void }>(models: Models<E>): Handlers {
  const { glue, threads } = models;
  const indices = new LocalIndices(glue, models);
  return {
    load: (args, context) => models.load(args, context),
    unload: async ({ id }) => models.unload(id),

    inspect: async ({ bytes }) => glue.inspect(bytes),
    compare: async ({ a, b, side }, { signal }) =>
      comparePair(models.get(glue.inspect(a).bundle).engine, a, b, side, signal),

    async indexOpen({ name }) {
      const { table, bundle } = await indices.open(name);
      return { size: table.size, bundle };
    },
    indexAdd: async ({ name, id, bytes }) => (await indices.get(name)).add(id, bytes),
    indexRemove: async ({ name, id }) => (await indices.get(name)).remove(id),
    indexGet: async ({ name, id }) => (await indices.get(name)).get(id),
    indexIds: async ({ name }) => (await indices.get(name)).table.ids(),
    indexList: async ({ name }) => (await indices.get(name)).list(),
    async indexDuplicates({ name, wanted }, context) {
      const { table, records, bundle } = await indices.get(name);
      return findDuplicates(
        glue,
        models.get(bundle).engine,
        { table, get: (ids) => records.get(ids) },
        wanted,
        context,
      );
    },
    async duplicates({ ids, records, wanted }, context) {
      const first = records[0];
      if (!first) return { videos: 0, compared: 0, missing: [], groups: [], excerpts: [], related: [] };
      const { engine } = models.get(glue.inspect(first).bundle);
      const table = new glue.Table(engine);
      try {
        const byId = new Map(ids.map((id, i) => [id, records[i]]));
        for (const [id, record] of byId) if (record) table.put(id, record);
        return await findDuplicates(
          glue,
          engine,
          { table, get: async (wanted) => wanted.map((id) => byId.get(id)) },
          wanted,
          context,
        );
      } finally {
        table.free();
      }
    },
    indexClear: async ({ name }) => (await indices.get(name)).clear(),
    indexExport: async ({ name }) => (await indices.get(name)).export(),
    indexImport: async ({ name, file }, { signal, emit }) => (await indices.get(name)).import(file, signal, emit),
    indexClose: async ({ name }) => indices.close(name),
    async indexSearch({ name, bytes, options }, context) {
      const index = await indices.get(name);
      await searchIndex({ glue, threads, engine: models.get(index.bundle).engine, index }, bytes, options, context);
    },
  };
}
