// Where runs are computed: in a worker made of the solver's own text, or, where there can be none, beside the page.

/** hear(message) gets what the server posts. -> post(message). solver: the function that holds all modules. */
export function connected(solver, hear) {
  try {
    const text = `const receive = (${solver.toString()})().$session.server((message) => postMessage(message));
      onmessage = (event) => receive(event.data);`;
    const worker = new Worker(URL.createObjectURL(new Blob([text], { type: "text/javascript" })));
    worker.onmessage = (event) => hear(event.data);
    return (message) => worker.postMessage(message);
  } catch {
    return solver().$session.server(hear);
  }
}
