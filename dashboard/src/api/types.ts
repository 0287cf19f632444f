// The types of the API, taken out of the document that the server is paths by (`npm run types`).

import type { components, paths } from './schema'

/** Anything with a name in the document: `Shape<'Status'>`. */
export type Shape<Name extends keyof components['schemas']> = components['schemas'][Name]

type Verb = 'get' | 'post' | 'put' | 'delete'
type Having<V extends Verb> = { [P in keyof paths]: paths[P] extends Record<V, { responses: unknown }> ? P : never }[keyof paths]
type Operation<P extends keyof paths, V extends Verb> = paths[P] extends Record<V, infer O> ? O : never
type Given<O, Where extends 'query' | 'path'> = O extends { parameters: infer All }
  ? All extends { [K in Where]?: infer Q }
    ? [NonNullable<Q>] extends [never] ? unknown : NonNullable<Q>
    : unknown
  : unknown

/** What fills the `{names}` of a path, and its query, in one object. */
export type Params<P extends keyof paths, V extends Verb = 'get'> = Given<Operation<P, V>, 'path'> & Given<Operation<P, V>, 'query'>

/** What a good answer holds. */
export type Answer<P extends keyof paths, V extends Verb = 'get'> =
  Operation<P, V> extends { responses: { 200: { content: { 'application/json': infer A } } } } ? A : unknown

/** What a POST carries. */
export type Body<P extends keyof paths> =
  Operation<P, 'post'> extends { requestBody?: { content: { 'application/json': infer B } } } ? B : Record<string, never>

export type GetPath = Having<'get'>
export type PostPath = Having<'post'>
