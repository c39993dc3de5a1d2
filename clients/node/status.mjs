// Decodes the details that a Trimtab server attaches to an error: google.rpc.Status with an ErrorInfo.
import { fromJSON } from '@grpc/proto-loader';

const DETAILS_KEY = 'grpc-status-details-bin';

// The fields of google.rpc.Status and google.rpc.ErrorInfo that are read here.
const messages = fromJSON(
  {
    nested: {
      Detail: {
        fields: { typeUrl: { type: 'string', id: 1 }, value: { type: 'bytes', id: 2 } },
      },
      Status: {
        fields: { details: { rule: 'repeated', type: 'Detail', id: 3 } },
      },
      ErrorInfo: {
        fields: {
          reason: { type: 'string', id: 1 },
          domain: { type: 'string', id: 2 },
          metadata: { keyType: 'string', type: 'string', id: 3 },
        },
      },
    },
  },
  { defaults: true, arrays: true, objects: true },
);

/** The ErrorInfo of a failed call, or undefined if the error carries none. */
export function errorInfo(error) {
  const [bytes] = error.metadata?.get(DETAILS_KEY) ?? [];
  if (bytes === undefined) return undefined;
  const { details } = messages.Status.deserialize(bytes);
  const detail = details.find(({ typeUrl }) => typeUrl.endsWith('/google.rpc.ErrorInfo'));
  return detail && messages.ErrorInfo.deserialize(detail.value);
}
