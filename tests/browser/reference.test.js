// Tests the API reference of a running stack in a real browser: it lists all operations, executes some of them, and sends no
// requests to other origins.
//
//   tests/browser/run [FOLDER]
//
// or, step by step: cargo roadcast --json status > status.json, npm ci, STATUS=status.json npm test
//
// STATUS is the file with the output of `status`. CHROMIUM is the path of the browser, by default /usr/bin/chromium.
// SCREENSHOTS is the folder for screenshots.

import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { parse } from 'yaml';

const root = join(import.meta.dirname, '../..');
const status = JSON.parse(readFileSync(process.env.STATUS ?? assert.fail('STATUS is not set'), 'utf8'));
assert.ok(status.reference, 'the stack has no reference page; see the output of `cargo roadcast up`');
const screenshots = process.env.SCREENSHOTS ?? join(root, 'target/browser');
const PATIENCE_MS = 30_000;
const ARGUMENTS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync',
];

/** Returns the operations of the contract as the page should show them. */
function operations() {
  const contract = parse(readFileSync(join(root, 'openapi.yaml'), 'utf8'));
  const verbs = ['get', 'post', 'put', 'patch', 'delete'];
  return Object.entries(contract.paths).flatMap(([path, item]) =>
    verbs.filter((verb) => item[verb]).map((verb) => {
      const { operationId, summary } = item[verb];
      return { verb: verb.toUpperCase(), path, operationId, summary };
    }));
}

describe('the API reference', { timeout: 300_000 }, () => {
  let browser, page;
  const foreignRequests = [];
  const consoleErrors = [];

  before(async () => {
    mkdirSync(screenshots, { recursive: true });
    // Playwright creates a new, empty profile for each launch.
    browser = await chromium.launch({
      executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
      args: ARGUMENTS,
    });
    page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
    page.setDefaultTimeout(PATIENCE_MS);
    const { origin } = new URL(status.reference);
    page.on('request', (request) => {
      const url = new URL(request.url());
      if (!['data:', 'blob:'].includes(url.protocol) && url.origin !== origin) foreignRequests.push(url.href);
    });
    page.on('console', (message) => {
      if (message.type() === 'error') consoleErrors.push(`${message.text()} (${message.location().url})`);
    });
    page.on('pageerror', (error) => consoleErrors.push(String(error)));
    await page.goto(status.reference);
    await page.locator('.opblock').first().waitFor();
  });
  after(() => browser?.close());

  /** Takes a screenshot of the viewport. */
  const screenshot = (name) => page.screenshot({ path: join(screenshots, `${name}.png`), animations: 'disabled' });

  /** Returns the block of an operation. */
  const block = (operationId) =>
    page.locator('.opblock').filter({ has: page.getByText(operationId, { exact: true }) });

  /** Executes an operation and returns the response that the page shows. */
  async function execute(operationId) {
    const operation = block(operationId);
    await operation.getByRole('button', { name: 'Execute' }).click();
    const answer = operation.locator('.live-responses-table tbody tr.response');
    await answer.waitFor();
    const code = (await answer.locator('.response-col_status').innerText()).trim().split(/\s/)[0];
    return { code, body: JSON.parse(await answer.locator('.highlight-code code').innerText()) };
  }

  it('shows every operation of the contract', async () => {
    const shown = await page.locator('.opblock').evaluateAll((blocks) => blocks.map((block) => {
      const text = (name) => block.querySelector(`.opblock-summary-${name}`)?.textContent.replaceAll('\u200b', '').trim();
      return { verb: text('method'), path: text('path'), operationId: text('operation-id'), summary: text('description') };
    }));
    const sorted = (list) => list.toSorted((a, b) => a.operationId.localeCompare(b.operationId));
    assert.deepEqual(sorted(shown), sorted(operations()));
    await screenshot('reference');
  });

  it('serves the contract without API Gateway extensions and with this stack as server', async () => {
    const answer = await page.request.get(new URL('openapi.json', status.reference).href);
    assert.match(answer.headers()['content-type'], /^application\/json/);
    const text = await answer.text();
    assert.doesNotMatch(text, /x-amazon-|Fn::/);
    assert.deepEqual(JSON.parse(text).servers.map((server) => server.url), [status.api]);
  });

  it('executes an operation that requires no token', async () => {
    await block('getHealth').locator('.opblock-summary-control').click();
    const { code, body } = await execute('getHealth');
    assert.deepEqual({ code, body }, { code: '200', body: { status: 'ok' } });
  });

  it('accepts the token that `status` prints and lists vehicles with it', async () => {
    await page.getByRole('button', { name: 'Authorize', exact: true }).click();
    const dialog = page.locator('.dialog-ux');
    await dialog.locator('input').fill(status.tokens.admin);
    await screenshot('authorize');
    await dialog.getByRole('button', { name: 'Apply credentials' }).click();
    await dialog.getByRole('button', { name: 'Close', exact: true }).click();

    await block('listVehicles').locator('.opblock-summary-control').click();
    const called = page.waitForRequest(`${status.api}/vehicles*`);
    const { code, body } = await execute('listVehicles');
    assert.equal(code, '200');
    // Without parameters, it must return the vehicles of the demo fleet.
    assert.ok(body.items.length > 0, JSON.stringify(body));
    assert.equal((await called).headers().authorization, `Bearer ${status.tokens.admin}`);
    await block('listVehicles').locator('.responses-wrapper').evaluate((answers) => answers.scrollIntoView());
    await screenshot('list-vehicles');
  });

  it('keeps the token, supports deep links and has a dark theme', async () => {
    await page.goto(`${status.reference}#/Vehicles/listVehicles`);
    await page.reload();
    const { code } = await execute('listVehicles');
    assert.equal(code, '200');
    const dark = page.getByRole('button', { name: 'Dark' });
    await dark.click();
    assert.equal(await dark.getAttribute('aria-pressed'), 'true');
    await screenshot('dark');
    await dark.click();
  });

  it('filters operations by tag', async () => {
    await page.locator('.operation-filter-input').fill('Feed');
    await block('listVehicles').waitFor({ state: 'detached' });
    const left = await page.locator('.opblock-summary-operation-id').allInnerTexts();
    assert.ok(left.length > 0 && left.every((id) => id.includes('Feed')), left.join());
  });

  it('sends no requests to other origins and logs no errors', () => {
    assert.deepEqual({ foreignRequests, consoleErrors }, { foreignRequests: [], consoleErrors: [] });
  });
});
