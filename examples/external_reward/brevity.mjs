// The same server as brevity.py, in Node. Run: npm ci in clients/node, then node brevity.mjs 50062
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const from = (path) => fileURLToPath(new URL(path, import.meta.url));
const require = createRequire(from('../../clients/node/'));
const grpc = require('@grpc/grpc-js');
const { loadSync } = require('@grpc/proto-loader');

const { reward } = grpc.loadPackageDefinition(
  loadSync('trimtab/reward/v1/reward.proto', { includeDirs: [from('../../proto')], keepCase: true, defaults: true }),
).trimtab;

const judge = ({ id, verifier, response }) =>
  ['', 'brevity'].includes(verifier)
    ? { id, outcome: 'OUTCOME_SCORED', reward: 1 / (1 + [...response].length) }
    : { id, outcome: 'OUTCOME_VERIFIER_ERROR', cause: 'CAUSE_MACHINERY' };

function Score({ request: { items } }, done) {
  const ids = new Set(items.map(({ id }) => id));
  if (ids.size < items.length) done({ code: grpc.status.INVALID_ARGUMENT, details: 'an id comes twice' });
  else done(null, { results: items.map(judge) });
}

const GetInfo = (_, done) => done(null, { verifiers: [{ name: 'brevity' }] });

const server = new grpc.Server({ 'grpc.max_receive_message_length': 16 << 20 });
server.addService(reward.v1.RewardService.service, { Score, GetInfo });
server.bindAsync(`127.0.0.1:${process.argv[2]}`, grpc.ServerCredentials.createInsecure(), (error) => {
  if (error) throw error;
});
