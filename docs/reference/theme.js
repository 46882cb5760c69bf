// Light or dark: what this browser was told last, or else what its system prefers. In the head, so that nothing flickers.
'use strict';
(() => {
  const KEY = 'roadcast-theme';
  const root = document.documentElement;
  const told = localStorage.getItem(KEY);
  root.classList.toggle('dark-mode', told ? told === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches);
  document.addEventListener('DOMContentLoaded', () => {
    const button = document.getElementById('theme');
    const say = () => button.setAttribute('aria-pressed', String(root.classList.contains('dark-mode')));
    button.addEventListener('click', () => {
      localStorage.setItem(KEY, root.classList.toggle('dark-mode') ? 'dark' : 'light');
      say();
    });
    say();
  });
})();
