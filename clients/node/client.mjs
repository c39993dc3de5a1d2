// Draws two samples from a rollout server and lets a reward server judge them.
//
//   node client.mjs --rollout 127.0.0.1:50051 --reward 127.0.0.1:50052 [--json]
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

import { errorInfo } from './status.mjs';

const PROTOS = fileURLToPath(new URL('../../proto', import.meta.url));
const PROMPT = '12+34+5=';
const ANSWER = '51';
const TIMEOUT_MS = 60_000;

const { rollout, reward } = grpc.loadPackageDefinition(
  loadSync(['trimtab/rollout/v1/rollout.proto', 'trimtab/reward/v1/reward.proto'], {
    includeDirs: [PROTOS],
    keepCase: true,
    longs: String,
    enums: String,
    defaults: true,
    oneofs: true,
  }),
).trimtab;

const withDeadline = () => ({ deadline: Date.now() + TIMEOUT_MS });

/** Samples of the prompt, in order. */
async function generate(client) {
  const request = {
    prompts: [{ id: 'sum', text: PROMPT }],
    samples_per_prompt: 2,
    sampling: { max_tokens: 24, seed: 7 },
  };
  const samples = [];
  for await (const event of client.Generate(request, withDeadline())) {
    if (event.prompt_error) throw new Error(event.prompt_error.detail);
    if (event.sample) samples.push(event.sample);
  }
  return samples.sort((a, b) => a.sample_index - b.sample_index);
}

/** The results of a batch. */
function score(client, items) {
  return new Promise((resolve, reject) => {
    client.Score({ items }, withDeadline(), (error, response) =>
      error ? reject(error) : resolve(response.results),
    );
  });
}

/** What the reward server answers to a request with the same id twice. */
async function provokeError(client) {
  try {
    await score(client, [{ id: 'twin' }, { id: 'twin' }]);
  } catch (error) {
    return { code: grpc.status[error.code], reason: errorInfo(error)?.reason, message: error.details };
  }
  throw new Error('the server took two items with one id');
}

async function run(rolloutClient, rewardClient) {
  const samples = await generate(rolloutClient);
  const items = samples.map(({ sample_index, text }) => ({
    id: `sum-${sample_index}`,
    prompt: PROMPT,
    response: text,
    references: [ANSWER],
  }));
  return {
    prompt: PROMPT,
    samples,
    results: await score(rewardClient, items),
    error: await provokeError(rewardClient),
  };
}

function show({ prompt, samples, results, error }) {
  const decimals = (values) => values.map((value) => value.toFixed(3)).join(' ');
  for (const [index, sample] of samples.entries()) {
    console.log(`${prompt}${sample.text}`);
    console.log(`  log-probs  ${decimals(sample.logprobs)}`);
    console.log(`  entropies  ${decimals(sample.entropies)}`);
    const { outcome, reward: value, detail } = results[index];
    console.log(`  ${outcome}  reward ${value ?? 'none'}${detail && `  (${detail})`}`);
  }
  console.log(`a bad request: ${error.code} ${error.reason}: ${error.message}`);
}

const { values: options } = parseArgs({
  options: {
    rollout: { type: 'string', default: '127.0.0.1:50051' },
    reward: { type: 'string', default: '127.0.0.1:50052' },
    json: { type: 'boolean', default: false },
  },
});
const credentials = grpc.credentials.createInsecure();
const rolloutClient = new rollout.v1.RolloutService(options.rollout, credentials);
const rewardClient = new reward.v1.RewardService(options.reward, credentials);
try {
  const report = await run(rolloutClient, rewardClient);
  if (options.json) console.log(JSON.stringify(report));
  else show(report);
} catch (error) {
  const reason = errorInfo(error)?.reason;
  console.error(`error: ${reason ? `${reason}: ` : ''}${error.details ?? error.message}`);
  process.exitCode = 1;
} finally {
  rolloutClient.close();
  rewardClient.close();
}
