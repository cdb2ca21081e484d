// The scripts speak the page's language: its catalogue is fetched once, before anything is said.

import { speak } from "/player/words.js";

export { number, say } from "/player/words.js";

const code = document.documentElement.lang;
if (code !== "en") {
  const answer = await fetch(`/words/${code}`);
  if (answer.ok) speak(code, await answer.json());
}
