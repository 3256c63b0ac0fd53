import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { session, signOut } from "./api.ts";
import { BenchmarksPage } from "./pages/benchmarks.tsx";
import { ComparePage } from "./pages/compare.tsx";
import { CrashesPage, CrashPage } from "./pages/crashes.tsx";
import { MatrixPage } from "./pages/matrix.tsx";
import { RequirementPage } from "./pages/requirement.tsx";
import { RequirementsPage } from "./pages/requirements.tsx";
import { RunPage } from "./pages/run.tsx";
import { RunsPage } from "./pages/runs.tsx";
import { SignIn } from "./pages/sign-in.tsx";
import { TestPage } from "./pages/test.tsx";
import { WaiversPage } from "./pages/waivers.tsx";
import { place } from "./router.ts";
import { helpOpen, PAGES } from "./shortcuts.ts";
import { nextTheme, theme } from "./theme.ts";
import { Empty, Page } from "./ui/bits.tsx";

export function App(): JSX.Element {
  const { path, query } = place.value;
  const who = session.value;
  const [title, page] = pageOf(path, query);
  useEffect(() => {
    document.title = `${title} · buslab`;
  }, [title]);
  return (
    <>
      <a class="skip" href="#main">
        Skip to the content
      </a>
      <header class="top">
        <a class="brand" href="/">
          <img src="/favicon.svg" alt="" width="20" height="20" /> buslab
        </a>
        <nav aria-label="Pages">
          {PAGES.map((each) => (
            <a key={each.path} href={each.path} aria-current={sectionOf(path) === each.path ? "page" : undefined}>
              {each.name}
            </a>
          ))}
        </nav>
        <div class="top-end">
          <button type="button" class="quiet" onClick={nextTheme} title="Colours: as the system, light, dark">
            {theme.value === "auto" ? "Auto" : theme.value === "light" ? "Light" : "Dark"}
            <span class="sr"> colours</span>
          </button>
          <button type="button" class="quiet" aria-label="Keyboard shortcuts" title="Keyboard shortcuts (?)" onClick={() => (helpOpen.value = true)}>
            ?
          </button>
          {who?.signedIn === true && (
            <button type="button" class="quiet" onClick={() => void signOut()} title={`Signed in as ${who.who?.name ?? ""}, role ${who.who?.role ?? ""}`}>
              Sign out
            </button>
          )}
        </div>
      </header>
      <main id="main" tabIndex={-1}>
        {who !== null && who.who === null ? <SignIn /> : page}
      </main>
      {helpOpen.value && <Help />}
    </>
  );
}

function sectionOf(path: string): string {
  return PAGES.find((page) => page.path !== "/" && (path === page.path || path.startsWith(`${page.path}/`)))?.path ?? (path === "/" ? "/" : "");
}

function pageOf(path: string, query: URLSearchParams): [title: string, page: JSX.Element] {
  const [, section = "", name, part] = path.split("/");
  if (section === "" && name === undefined) return ["Matrix", <MatrixPage />];
  if (section === "runs" && name === undefined) return ["Runs", <RunsPage />];
  if (section === "runs" && name !== undefined && part === undefined) return [`Run ${name}`, <RunPage key={name} run={name} />];
  if (section === "runs" && name !== undefined && part === "test") {
    const [target, test] = [query.get("target") ?? "", query.get("test") ?? ""];
    return [`Test ${test.replace(/^.*\.ts:/s, "").slice(0, 60)}`, <TestPage key={`${name}${target}${test}`} run={name} target={target} test={test} />];
  }
  if (section === "requirements" && name === undefined) return ["Requirements", <RequirementsPage />];
  if (section === "requirements" && name !== undefined) return [name, <RequirementPage key={name} id={name} />];
  if (section === "compare") return ["Compare", <ComparePage />];
  if (section === "crashes" && name === undefined) return ["Crashes", <CrashesPage />];
  if (section === "crashes" && name === "seen") return ["Crash", <CrashPage key={query.get("fingerprint") ?? ""} fingerprint={query.get("fingerprint") ?? ""} />];
  if (section === "benchmarks") return ["Benchmarks", <BenchmarksPage />];
  if (section === "waivers") return ["Waivers", <WaiversPage />];
  return ["Not found", <Page title="Not found"><Empty title="There is no such page">The pages are in the bar above.</Empty></Page>]; // prettier-ignore
}

function Help(): JSX.Element {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} aria-labelledby="help-title" onClose={() => (helpOpen.value = false)}>
      <h2 id="help-title">Keyboard</h2>
      <dl class="keys">
        {PAGES.map((page) => (
          <div key={page.key}>
            <dt>
              <kbd>g</kbd> <kbd>{page.key}</kbd>
            </dt>
            <dd>{page.name}</dd>
          </div>
        ))}
        <div><dt><kbd>j</kbd> <kbd>k</kbd></dt><dd>next, previous row</dd></div>
        <div><dt><kbd>Enter</kbd></dt><dd>open the row</dd></div>
        <div><dt><kbd>/</kbd></dt><dd>filter</dd></div>
        <div><dt><kbd>?</kbd></dt><dd>this list</dd></div>
      </dl>
      <form method="dialog">
        <button type="submit">Close</button>
      </form>
    </dialog>
  ); // prettier-ignore
}
