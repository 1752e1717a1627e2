// Following the ledger over the WebSocket. Law: after a cut it goes on after the last record it was told of, so
// nothing is missed; while it is down the pages ask by themselves.

const FIRST_MS = 500, LONGEST_MS = 15000, SILENCE_MS = 10000;
const TOPICS = ["trades", "grids", "risk", "commands", "reconciliation", "runs", "decisions"];

export class Live {
  constructor({ moved, state, where }) {
    Object.assign(this, { moved, state, where, up: false, seq: 0, wait: FIRST_MS, cuts: 0, caught: 0, events: 0, heard: 0 });
  }

  begin() {
    this.open();
    setInterval(() => { if (this.up && Date.now() - this.heard > SILENCE_MS) this.socket.close(); }, 2000);
  }

  // Another run: its ledger begins anew.
  again() { this.seq = 0; if (this.socket) this.socket.close(); }

  open() {
    clearTimeout(this.opening);
    const run = this.where(), address = new URL("/ws", location.href);
    address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    if (run) address.searchParams.set("run", run);
    const socket = this.socket = new WebSocket(address);
    let until = 0;
    socket.onopen = () => socket.send(JSON.stringify({ subscribe: TOPICS, ...(this.seq ? { after: this.seq } : {}) }));
    socket.onmessage = (event) => {
      const told = JSON.parse(event.data);
      this.heard = Date.now(); this.up = true; this.wait = FIRST_MS;
      if (told.type === "error") { if (told.code === "stream.ahead") { this.seq = 0; socket.close(); } return; }
      if (told.type === "subscribed") until = this.seq ? told.head : 0;
      if (told.type === "event") { this.events += 1; if (told.seq <= until) this.caught += 1; }
      if (told.seq > this.seq) { this.seq = told.seq; this.moved(); }
      else if (told.type === "at") this.state(told);
    };
    socket.onclose = () => {
      if (socket !== this.socket) return;
      if (this.up) this.cuts += 1;
      this.up = false; this.state();
      this.opening = setTimeout(() => this.open(), this.wait);
      this.wait = Math.min(LONGEST_MS, this.wait * 2);
    };
  }
}
