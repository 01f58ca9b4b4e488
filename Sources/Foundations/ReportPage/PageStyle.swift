/// How a page looks, by day and by night.
enum PageStyle {
    static let css = """
        :root { color-scheme: light dark;
          --page: #f5f6f8; --card: #ffffff; --text: #1b1f24; --soft: #5c6570; --rule: #dfe3e8; --grid: #eceff2;
          --good: #1f8a55; --good-back: #e6f5ec; --bad: #c8323a; --bad-back: #fcebec; --warn: #b97a00;
          --p1: #16998a; --p2: #3a6fd8; --p3: #8a4fd0; --p4: #d6447e; --bar: #5b8def; --warmup: #8a94a01c;
          --fault: #d6454522; --partial: #e8ae3a; --unsent: #9aa3ad; --hover: #3a6fd81a; }
        @media (prefers-color-scheme: dark) { :root {
          --page: #111418; --card: #1a1e24; --text: #e7eaee; --soft: #98a2ae; --rule: #2c323a; --grid: #272c34;
          --good: #4cc38a; --good-back: #16301f; --bad: #ff6b70; --bad-back: #3a1a1d; --warn: #e3a83c;
          --p1: #3cc7b5; --p2: #6f9cff; --p3: #b487f5; --p4: #ff7aa9; --bar: #5b83d6; --warmup: #a0aab61a;
          --fault: #ff6b702e; --partial: #d9a13b; --unsent: #69727d; --hover: #6f9cff26; } }
        * { box-sizing: border-box; }
        body { margin: 0; background: var(--page); color: var(--text);
          font: 15px/1.5 system-ui, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", "DejaVu Sans", sans-serif; }
        main { max-width: 1120px; margin: 0 auto; padding: 28px 20px 48px; }
        header { display: flex; flex-wrap: wrap; gap: 8px 16px; align-items: baseline; }
        h1 { font-size: 26px; margin: 0; letter-spacing: -0.01em; }
        h2 { font-size: 17px; margin: 0 0 4px; }
        p { margin: 0 0 10px; color: var(--soft); }
        header p { margin: 0; }
        section { background: var(--card); border: 1px solid var(--rule); border-radius: 10px; padding: 18px 20px;
          margin-top: 16px; }
        .tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(118px, 1fr)); gap: 12px;
          margin-top: 16px; }
        .tile { background: var(--card); border: 1px solid var(--rule); border-radius: 10px; padding: 12px 14px; }
        .tile b { display: block; font-size: 22px; font-weight: 650; letter-spacing: -0.01em; white-space: nowrap; }
        .tile span { color: var(--soft); font-size: 13px; }
        .tile.bad b { color: var(--bad); }
        .verdict { border-left: 6px solid var(--good); background: var(--good-back); }
        .verdict h2 { color: var(--good); font-size: 20px; }
        .verdict.bad { border-left-color: var(--bad); background: var(--bad-back); }
        .verdict.bad h2 { color: var(--bad); }
        .verdict ul { margin: 8px 0; padding-left: 20px; }
        .kinds { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 4px 12px;
          margin: 8px 0 12px; }
        .kinds b { font-size: 20px; margin-right: 6px; }
        .pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(420px, 1fr)); gap: 16px; }
        .pair section { min-width: 0; }
        dl { display: grid; grid-template-columns: max-content 1fr; gap: 3px 18px; margin: 0; font-size: 14px; }
        dt { color: var(--soft); }
        dd { margin: 0; overflow-wrap: anywhere; }
        code { font: 13px/1.5 ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; }
        .wide { overflow-x: auto; }
        table { border-collapse: collapse; width: 100%; font-size: 14px; font-variant-numeric: tabular-nums; }
        th, td { text-align: right; padding: 5px 10px; white-space: nowrap; border-bottom: 1px solid var(--grid); }
        th { color: var(--soft); font-weight: 500; border-bottom-color: var(--rule); white-space: normal;
          vertical-align: bottom; }
        th.text, td.text { text-align: left; }
        .wide + p { margin: 10px 0 0; }
        code span { display: inline-block; max-width: 100%; overflow-wrap: anywhere; }
        th:first-child, td:first-child { text-align: left; padding-left: 0; }
        tr.hot td { color: var(--bad); }
        tr.sum td { font-weight: 650; }
        tbody tr:last-child td { border-bottom: 0; }
        svg { display: block; width: 100%; height: auto; }
        svg text { fill: var(--soft); font-size: 12px; }
        svg .end { text-anchor: end; }
        svg .middle { text-anchor: middle; }
        svg .legend { fill: var(--text); font-size: 12px; }
        svg .mark { font-size: 11px; paint-order: stroke; stroke: var(--card); stroke-width: 4px; }
        svg .title { fill: var(--text); }
        svg .hot { fill: var(--bad); }
        .grid, .gridline { stroke: var(--grid); fill: none; }
        .axis { stroke: var(--rule); fill: none; }
        .line { fill: none; stroke-width: 1.8; stroke-linejoin: round; stroke-linecap: round; }
        .line.gridline { stroke-width: 1; }
        .line.joining { stroke: var(--soft); stroke-width: 1.3; }
        .line.thin { stroke-width: 1; stroke-dasharray: 3 3; }
        .line.p1, .line.o0 { stroke: var(--p1); } .key.p1, .key.o0 { fill: var(--p1); }
        .line.p2, .line.o4 { stroke: var(--p2); } .key.p2, .key.o4 { fill: var(--p2); }
        .line.p3, .line.o1 { stroke: var(--p3); } .key.p3, .key.o1 { fill: var(--p3); }
        .line.p4, .line.o6 { stroke: var(--p4); } .key.p4, .key.o6 { fill: var(--p4); }
        .line.o2 { stroke: var(--good); } .key.o2 { fill: var(--good); }
        .line.o3 { stroke: var(--warn); } .key.o3 { fill: var(--warn); }
        .line.o5 { stroke: var(--soft); } .key.o5 { fill: var(--soft); }
        .line.intended { stroke: var(--soft); stroke-width: 1.2; stroke-dasharray: 6 4; }
        .key.intended { fill: var(--soft); }
        .bar { fill: var(--bar); } .ok { fill: var(--good); } .partial { fill: var(--partial); }
        .failed { fill: var(--bad); } .unsent { fill: var(--unsent); }
        .warmup { fill: var(--warmup); } .fault { fill: var(--fault); }
        .tip { fill: transparent; } .tip:hover { fill: var(--hover); }
        footer { margin-top: 16px; color: var(--soft); font-size: 13px; }
        """
}
