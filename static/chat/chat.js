// The chat page: starts its parts. Each part finds what it needs by data attributes, and works again
// after HTMX has swapped a part of the page.

import { startComposer } from "./composer.js";
import { startFeedback } from "./feedback.js";
import { startKeys } from "./keys.js";
import { startStreams } from "./stream.js";
import { startSwaps } from "./swaps.js";

document.documentElement.dataset.js = "";
startSwaps();
startStreams();
startComposer();
startFeedback();
startKeys();
