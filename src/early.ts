import { startEarlyThreads } from "./threads.ts";

// On import, and imported first: modules run in the order of their imports.
startEarlyThreads();
