import { type ComponentType, type ReactNode, useEffect, useState } from 'react'

/** A component whose code comes when it is first shown, or asked for. */
export type Later<P extends object> = ComponentType<P & { waiting?: ReactNode }> & { load: () => Promise<unknown> }

/**
 * A component of which the code comes later, with `waiting` in its place until then; what hinders it is thrown, and tried anew by the next one.
 *
 * Not React's `lazy`: that shows its fallback even where the code has come already, and then for 300 ms at least.
 */
export function later<P extends object>(fetch: () => Promise<{ default: ComponentType<P> }>): Later<P> {
  let Found: ComponentType<P> | undefined
  let coming: Promise<unknown> | undefined
  const load = () =>
    (coming ??= fetch().then(
      (module) => (Found = module.default),
      (error: unknown) => {
        coming = undefined
        throw error
      },
    ))
  function Shown({ waiting, ...props }: P & { waiting?: ReactNode }) {
    const [broken, setBroken] = useState<unknown>()
    const [, setCame] = useState(Found !== undefined)
    useEffect(() => {
      load().then(
        () => setCame(true),
        (error: unknown) => setBroken(error ?? 'unknown'),
      )
    }, [])
    if (broken !== undefined) throw broken
    return Found ? <Found {...(props as unknown as P)} /> : waiting
  }
  return Object.assign(Shown, { load })
}
