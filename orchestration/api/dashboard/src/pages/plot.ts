import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import type { FigureList } from "../../../schemas/views.ts";
import type { Band } from "./noise.ts";

const HEIGHT = 160;

/** Draws values over their noise band. @returns takes it away again */
export function draw(box: HTMLElement, rows: FigureList["rows"], bands: readonly Band[]): () => void {
  const style = getComputedStyle(document.documentElement);
  const colour = (name: string): string => style.getPropertyValue(name).trim();
  const outside = rows.map((row, index) => {
    const band = bands[index];
    return band?.low !== undefined && band.low !== null && (row.value < band.low || row.value > (band.high ?? 0)) ? row.value : null;
  });
  const axis = { stroke: colour("--muted"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "11px system-ui, sans-serif" };
  const plot = new uPlot(
    {
      width: box.clientWidth,
      height: HEIGHT,
      legend: { show: false },
      cursor: { y: false },
      axes: [axis, { ...axis, size: 56 }],
      scales: { x: { time: true } },
      series: [
        {},
        { label: "high", stroke: "transparent", points: { show: false } },
        { label: "low", stroke: "transparent", points: { show: false } },
        { label: "value", stroke: colour("--accent"), width: 1.5, points: { size: 5, fill: colour("--accent") } },
        { label: "outside", stroke: "transparent", points: { show: true, size: 11, width: 2, stroke: colour("--bad"), fill: "transparent" } },
      ],
      bands: [{ series: [1, 2], fill: colour("--band") }],
    },
    [rows.map((row) => Date.parse(row.measuredAt) / 1000), bands.map((band) => band.high), bands.map((band) => band.low), rows.map((row) => row.value), outside],
    box,
  );
  const resize = new ResizeObserver(() => plot.setSize({ width: box.clientWidth, height: HEIGHT }));
  resize.observe(box);
  return () => {
    resize.disconnect();
    plot.destroy();
  };
}
