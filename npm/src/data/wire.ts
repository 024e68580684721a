/** What a record says about itself. @internal */
export interface RecordInfo {
  bundle: string;
  duration: number;
  selfSimilarity: number;
  frames: number;
  regions: number;
  bits: number;
  dims: number;
  globalAt: number;
  timesAt: number;
  codesAt: number;
}
