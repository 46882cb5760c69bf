// Sets the light or dark theme: the last choice in this browser, or the system preference. In the head to avoid flicker.
'use strict';
(() => {
  const KEY = 'roadcast-theme';
  const root = document.documentElement;
  const stored = localStorage.getItem(KEY);
  root.classList.toggle('dark-mode', stored ? stored === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches);
  document.addEventListener('DOMContentLoaded', () => {
    const button = document.getElementById('theme');
    const update = () => button.setAttribute('aria-pressed', String(root.classList.contains('dark-mode')));
    button.addEventListener('click', () => {
      localStorage.setItem(KEY, root.classList.toggle('dark-mode') ? 'dark' : 'light');
      update();
    });
    update();
  });
})();
