// A hook in JavaScript: ends the run before a batch of more statements than it is configured with.
// What is thrown is the error of a `result`.
let most;

export const handler = {
  configure(text) {
    most = Number.parseInt(text, 10);
    if (Number.isNaN(most)) throw `${JSON.stringify(text)} is no number of statements`;
  },

  preBatch(batch) {
    const count = batch.ends.length;
    return count > most
      ? { tag: "abort", val: `${count} statements are more than ${most}` }
      : { tag: "proceed" };
  },

  postBatch(batch, outcome) {},
};
