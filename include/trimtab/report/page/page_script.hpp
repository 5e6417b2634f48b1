// SPDX-License-Identifier: Apache-2.0
#pragma once

/// The script of a page: a heat map whose first place that differs from its centre is out of sight is scrolled there,
/// arrow keys move through it, and the full value of the cell under the pointer or the focus is shown below it. A page
/// is complete without it. Its hash goes into the page's content security policy, so that nothing else can run there,
/// whatever a prompt holds.

namespace trimtab::report::detail {

inline constexpr char page_script[] = R"js(
document.querySelectorAll('table.heat').forEach(table => {
  const readout = table.closest('figure').querySelector('.readout');
  const tell = event => { const cell = event.target.closest('td[title]'); if (cell) readout.textContent = cell.title; };
  const box = table.closest('.scroll');
  const lefts = [...table.querySelectorAll('td[data-row]:not(.z):not(.none)')].map(cell => cell.offsetLeft);
  const left = Math.min(...lefts);
  if (box && lefts.length && left + 40 > box.clientWidth) box.scrollLeft = left - table.querySelector('th').offsetWidth;
  table.addEventListener('mouseover', tell);
  table.addEventListener('focusin', tell);
  table.addEventListener('keydown', event => {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    const cell = event.target.closest('td[data-row]');
    if (!step || !cell) return;
    const row = table.rows[cell.parentNode.rowIndex + step[0]];
    const next = row && row.cells[cell.cellIndex + step[1]];
    event.preventDefault();
    if (!next || !next.dataset.row) return;
    cell.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  });
});
)js";

/// SHA-256 of the script in base64.
inline constexpr char page_script_hash[] = "jW0nHRy82shTU9vEG9o6Mz4Xlaj92nGcFheeJ/Na2JQ=";

}  // namespace trimtab::report::detail
